import pytest

from gpu_worker.audio.decoder.damage import Damage


def test_a_file_without_damage_has_no_notices() -> None:
    damage = Damage()
    assert [damage.gap_before(n * 0.02, 0.02) for n in range(100)] == [0.0] * 100
    assert damage.warnings(2.0, 2.0) == ()
    assert damage.warnings(2.0, None) == ()


@pytest.mark.parametrize(
    ("decoded", "declared", "told"),
    [
        (9.6, 10.0, False),
        (9.4, 10.0, True),
        (12.0, 10.0, False),  # estimates and chained streams
        (35_970.0, 36_000.0, False),
        (35_960.0, 36_000.0, True),
    ],
)
def test_a_missing_end_is_told_beyond_half_a_second_and_a_thousandth(
    decoded: float, declared: float, told: bool
) -> None:
    warnings = Damage().warnings(decoded, declared)
    assert [(n.code, n.start, n.end) for n in warnings] == (
        [("truncated_audio", decoded, declared)] if told else []
    )


def test_a_container_that_breaks_off_is_told_without_a_declared_length() -> None:
    (warning,) = Damage(cut=True).warnings(5.0, None)
    assert (warning.code, warning.start, warning.end) == ("truncated_audio", 5.0, None)


def test_neighbouring_broken_packets_are_one_stretch() -> None:
    damage = Damage()
    for start in (1.0, 1.02, 1.4, 7.0):
        damage.add_broken(start, start + 0.02)
    spans = [(warning.start, warning.end) for warning in damage.warnings(9.0, None)]
    assert spans == [(1.0, 1.42), (7.0, 7.02)]


def test_a_gap_right_behind_damage_belongs_to_it() -> None:
    damage = Damage()
    damage.add_broken(1.0, 1.1)
    damage.add_gap(1.1, 3.0)
    damage.add_gap(5.0, 6.0)
    assert [(n.code, n.start, n.end) for n in damage.warnings(9.0, None)] == [
        ("decode_errors", 1.0, 3.0),
        ("timestamp_gaps", 5.0, 6.0),
    ]


def test_a_gap_is_what_the_clock_skips_after_broken_packets() -> None:
    damage = Damage()
    damage.gap_before(0.0, 1.0)
    damage.add_broken(1.0, 2.0)
    assert damage.gap_before(2.0, 1.0) == 0.0
    assert damage.gap_before(5.0, 1.0) == 2.0
    assert damage.gap_before(0.0, 1.0) == 0.0  # backwards: a chained stream begins


def test_a_clock_set_anew_is_told_but_not_followed() -> None:
    damage = Damage()
    damage.gap_before(0.0, 1.0)
    assert damage.gap_before(5000.0, 1.0) == 0.0
    (warning,) = damage.warnings(2.0, 5001.0)
    assert warning.code == "timestamp_gaps"
    assert "4999 s" in warning.message


def test_a_thousand_damaged_stretches_are_not_a_thousand_notices() -> None:
    damage = Damage()
    for start in range(1000):
        damage.add_broken(start, start + 0.02)
    warnings = damage.warnings(1000.0, None)
    assert len(warnings) == 21
    assert "980 more" in warnings[-1].message
    assert (warnings[-1].start, warnings[-1].end) == (20, 999.02)

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.assembly.cue import Cue
from gpu_worker.assembly.subtitle_profiles import PROFILES, Limits
from gpu_worker.assembly.subtitle_report import RULES, report_of

TEXTS = st.text("abc \n", min_size=1, max_size=120).filter(
    lambda text: all(line.strip() == line != "" for line in text.split("\n"))
)


@st.composite
def rows_of_cues(draw: st.DrawFn) -> list[Cue]:
    """Cues of any lengths and gaps, some of which overlap."""
    shown, start = [], 0
    for _ in range(draw(st.integers(0, 6))):
        start += draw(st.sampled_from([-50, 0, 1, 42, 83, 84, 200, 479, 499, 500, 999, 1000, 5000]))
        start = max(start, 0)
        length = draw(st.integers(1, 12_000) | st.sampled_from([300, 832, 833, 7_000, 7_001]))
        shown.append(Cue(start, start + length, draw(TEXTS)))
        start += length
    return shown


def broken(shown: list[Cue], name: str, rate: int) -> set[tuple[int, str]]:
    """What is violated, said once more: by the exact numbers and a lenience of 1 ms."""
    netflix = name == "netflix"
    found = set()
    for number, cue in enumerate(shown, start=1):
        lines, ms = cue.text.split("\n"), cue.end_ms - cue.start_ms
        least_ms = (
            Fraction(sum(map(len, lines)) * 1000, 20)
            if netflix
            else Fraction(len(cue.text.split()) * 300)
        )
        wrong = {
            "lines": len(lines) > 2,
            "line_width": max(map(len, lines)) > (42 if netflix else 37),
            "characters_a_second": netflix and ms + 1 < least_ms,
            "words_a_minute": not netflix and ms + 1 < least_ms,
            "shortest": netflix and ms < 832,
            "longest": netflix and ms > 7_001,
        }
        if number < len(shown):
            gap = shown[number].start_ms - cue.end_ms
            two = Fraction(2000, rate) if netflix else 0
            wrong["overlap"] = gap < 0
            wrong["gap"] = 0 <= gap < two - 1
            wrong["open_gap"] = two + 1 < gap < (499 if netflix else 999)
        found |= {(number, rule) for rule, is_wrong in wrong.items() if is_wrong}
    return found


@settings(deadline=None)
@given(rows_of_cues(), st.sampled_from(["netflix", "bbc"]), st.sampled_from([24, 25, 30]))
def test_every_violated_rule_is_reported_and_none_that_is_kept(
    shown: list[Cue], name: str, rate: int
) -> None:
    report = report_of(shown, name, rate, "en")
    assert {(it.cue, it.rule) for it in report.violations} == broken(shown, name, rate)
    assert len(report.violations) == len({(it.cue, it.rule) for it in report.violations})
    assert all(it.start_ms == shown[it.cue - 1].start_ms for it in report.violations)


def test_a_violation_has_its_cue_time_rule_value_and_limit() -> None:
    report = report_of([Cue(0, 500, "Yes."), Cue(1_000, 2_000, "No " * 14)], "netflix", None, "en")
    assert report.to_json() == {
        "profile": "netflix",
        "frame_rate": 24.0,
        "cues": 2,
        "by_rule": {"characters_a_second": 1, "shortest": 1},
        "violations": [
            {
                "cue": 1,
                "start_ms": 0,
                "end_ms": 500,
                "rule": "shortest",
                "value": 500,
                "limit": 833,
            },
            {
                "cue": 2,
                "start_ms": 1000,
                "end_ms": 2000,
                "rule": "characters_a_second",
                "value": 42,
                "limit": 20.0,
            },
        ],
    }


def test_a_cue_is_judged_by_its_own_language() -> None:
    text = "今天有记录今天有记录"
    assert report_of([Cue(0, 1_500, text)], "netflix", None, "zh").violations == ()
    assert report_of([Cue(0, 1_500, text)], "netflix", None, "ja").violations != ()
    own = Cue(0, 1_500, text, language="zh")
    assert report_of([own], "netflix", None, "ja").violations == ()


def test_a_narrow_character_counts_a_half_beside_wide_ones() -> None:
    japanese = PROFILES["netflix"].limits_of("ja")
    assert japanese.width("今日は iPhone") == 3 + 3.5
    assert PROFILES["netflix"].limits_of("en-GB").width("今日は") == 3


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("language", [None, "en", "de", "ja", "zh", "ko", "th", "ar", "yue"])
def test_every_language_has_a_line_width_and_a_reading_speed(
    name: str, language: str | None
) -> None:
    limits = PROFILES[name].limits_of(language)
    assert isinstance(limits, Limits)
    assert 13 <= limits.line_width <= 42
    assert limits.characters_a_second or limits.words_a_minute


def test_every_rule_is_described() -> None:
    assert all(RULES.values())

"""Figures add up, and come back from JSON."""

from __future__ import annotations

from tasks.usage.figures import Figures, Use

ONE = Figures(units=2, audio_seconds=0.1, device_seconds=1.1, joules=5.0, retries=1, stored_bytes=7)
OTHER = Figures(cached=3, cached_audio_seconds=9.0, audio_seconds=0.2, device_seconds=2.2)


def test_they_add_up_without_a_rest_of_binary_fractions() -> None:
    assert Figures(2, 3, 0.3, 9.0, 3.3, 5.0, 1, 7) == ONE + OTHER
    assert (OTHER + OTHER).joules is None


def test_zeros_are_left_out_of_json() -> None:
    assert OTHER.to_json().keys() == {
        "cached", "cached_audio_seconds", "audio_seconds", "device_seconds",
    }  # fmt: skip
    assert Figures.from_json(ONE.to_json() | {"later": 1}) == ONE
    assert Use("cpu", 1.0).to_json() == {
        "device": "cpu", "device_seconds": 1.0, "retries": 0, "stored_bytes": 0,
    }  # fmt: skip

"""Loudness is measured frame by frame and found again by its time."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.audio.levels import FLOOR_DB, FRAME_SAMPLES, LevelTrack, frame_levels

RATE = 16_000


def sine(seconds: float, amplitude: float) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * 400 * times)).astype(np.float32)


@pytest.mark.parametrize(("amplitude", "level"), [(1.0, -3), (0.1, -23), (0.025, -35)])
def test_a_tone_has_its_level_in_every_frame(amplitude: float, level: int) -> None:
    assert frame_levels(sine(0.5, amplitude)) == (level,) * 5


def test_silence_and_a_constant_offset_are_the_floor() -> None:
    assert frame_levels(np.zeros(RATE // 5, np.float32)) == (FLOOR_DB,) * 2
    assert frame_levels(np.full(RATE // 5, 0.5, np.float32)) == (FLOOR_DB,) * 2


def test_the_last_frame_may_be_short_and_no_samples_are_no_frames() -> None:
    assert frame_levels(sine(0.25, 0.1)) == (-23, -23, -23)
    assert len(frame_levels(sine(0.25, 0.1)[:1])) == 1
    assert frame_levels(sine(0.0, 0.1)) == ()


def test_a_frame_is_measured_alone() -> None:
    audio = np.concatenate([sine(0.1, 0.1), sine(0.1, 0.01), sine(0.1, 0.1)])
    assert frame_levels(audio) == (-23, -43, -23)


@pytest.fixture
def track() -> LevelTrack:
    """Speech at 10..10.25 s and at 12..12.2 s, given in the wrong order."""
    late = (12 * RATE, 12 * RATE + 2 * FRAME_SAMPLES)
    early = (10 * RATE, 10 * RATE + 5 * FRAME_SAMPLES // 2)
    return LevelTrack.of([(late, (-50, -60)), (early, (-10, -20, -40))])


@pytest.mark.parametrize(
    ("start", "end", "level"),
    [
        (10.01, 10.05, -10),
        (10.05, 10.22, -10),
        (10.11, 10.22, -20),
        (9.0, 13.0, -20),
        (10.15, 10.15, -20),  # a word without length
        (10.25, 10.25, -40),  # at the very end of its span
        (12.2, 12.2, -60),
        (8.0, 10.05, -10),
    ],
)
def test_the_level_of_a_stretch_is_the_upper_quartile_of_its_frames(
    track: LevelTrack, start: float, end: float, level: int
) -> None:
    assert track.level(start, end) == level


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (11.0, 11.5), (12.3, 13.0)])
def test_where_nothing_was_measured_there_is_no_level(
    track: LevelTrack, start: float, end: float
) -> None:
    assert track.level(start, end) is None
    assert LevelTrack.of([]).level(start, end) is None

"""Measure the loudness of audio, frame by frame, and look it up by time.

A span of speech may hold one person and the echo of another, so one figure for the whole
span is not enough. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE

FRAME_SAMPLES = SAMPLE_RATE // 10  # 0.1 s, about a syllable
FLOOR_DB = -96  # the quietest step of 16 bits; silence counts the same


def frame_levels(audio: Audio) -> tuple[int, ...]:
    """Measure the level of each 0.1 s of `audio`, shape (samples,), in dB of full scale.

    The last frame may be shorter. The level is made from the variance and not from the mean
    square: a constant offset is no sound.
    """
    if not len(audio):
        return ()
    starts = np.arange(0, len(audio), FRAME_SAMPLES)
    counts = np.diff(np.append(starts, len(audio)))
    wide = audio.astype(np.float64)
    means = np.add.reduceat(wide, starts) / counts
    power = np.add.reduceat(wide * wide, starts) / counts - means * means
    decibels = 10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DB / 10)))
    return tuple(int(level) for level in np.rint(decibels))


def runs(flags: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find every run of True in `flags`, shape (frames,).

    Return the first index of each run, and the index behind its last one.
    """
    steps = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)


@dataclass(frozen=True, slots=True)
class LevelTrack:
    """The levels of all speech of one channel."""

    starts: list[int]  # first sample of each frame in the file, in order
    ends: list[int]
    levels: list[int]

    @classmethod
    def of(cls, spans: Iterable[tuple[tuple[int, int], Sequence[int]]]) -> LevelTrack:
        """Make a track from spans in samples of the file, each with the levels of its frames."""
        track = cls([], [], [])
        for (first, last), levels in sorted(spans):
            for number, level in enumerate(levels):
                start = first + number * FRAME_SAMPLES
                track.starts.append(start)
                track.ends.append(min(start + FRAME_SAMPLES, last))
                track.levels.append(level)
        return track

    def level(self, start: float, end: float) -> int | None:
        """Return the upper quartile of the frames from `start` to `end`, in dB; None without any.

        Times are seconds from the start of the file; a place that was not measured has no frames.
        The times of words are off by a frame now and then: silence around a word should not
        count, nor the loudest frame alone, which may be of the next word and another person.
        """
        first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        begin = bisect_left(self.ends, first)
        frames = self.levels[begin : max(bisect_left(self.starts, last), begin + 1)]
        if not frames or self.starts[begin] > last:
            return None
        return sorted(frames)[len(frames) * 3 // 4]

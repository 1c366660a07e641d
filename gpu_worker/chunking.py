"""Where a file is cut into chunks: in silence, near even boundaries.

Pure policy over an array of samples, which may be a memory map: only the stretches
around the boundaries are read. It hears loudness, not speech; what is speech inside
a chunk is found by the chunk's own task.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import SAMPLE_RATE

_FRAME = SAMPLE_RATE // 100  # 10 ms: shorter than any pause between words
_SMOOTH_FRAMES = 5  # 50 ms, so that the closure of a "p" is no silence
_FLOOR_DB = -80.0  # of full scale; quieter than any recording, so digital silence counts the same
_PAUSE_FRAMES = 30  # 0.3 s; the quietest stretch of this length is the room without speech
_SILENCE_SHARE, _SILENCE_DB = 0.35, 12.0  # above the floor, of the span between floor and peak
_CONTRAST_DB = 6.0  # less between floor and peak is noise throughout, with no pause to find
_LONG_SILENCE = 2 * SAMPLE_RATE  # beyond this a longer silence is no better, a nearer one is
_LONG_FILE_SECONDS = 1800.0  # from here on `max_chunk_seconds` holds

Pcm = npt.NDArray[np.int16]
Levels = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of the file, in samples at 16 kHz; `end` belongs to the next."""

    index: int
    start: int
    end: int

    @property
    def start_seconds(self) -> float:
        """Its offset in the file."""
        return self.start / SAMPLE_RATE

    @property
    def end_seconds(self) -> float:
        """Where the next one starts."""
        return self.end / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class ChunkingOptions:
    """How long chunks are.

    A file up to `chunk_seconds` is one chunk. Cuts are looked for within
    `search_seconds` of the even boundaries, but never further than a third of a
    chunk. In files over 30 minutes no chunk exceeds `max_chunk_seconds`.

    Raises InvalidOption.
    """

    chunk_seconds: float = 300.0
    search_seconds: float = 15.0
    max_chunk_seconds: float = 600.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.chunk_seconds < math.inf:
            raise InvalidOption(f"chunk_seconds is {self.chunk_seconds:g}; it must be 1 or more.")
        if not 0.0 <= self.search_seconds < math.inf:
            raise InvalidOption(f"search_seconds is {self.search_seconds:g}; it must be 0 or more.")
        if not 1.0 <= self.max_chunk_seconds < math.inf:
            raise InvalidOption(
                f"max_chunk_seconds is {self.max_chunk_seconds:g}; it must be 1 or more."
            )


_DEFAULT_OPTIONS = ChunkingOptions()


def plan_chunks(pcm: Pcm, options: ChunkingOptions = _DEFAULT_OPTIONS) -> tuple[Chunk, ...]:
    """Chunks that tile the file: nothing between them, nothing twice, none for no samples.

    `pcm` is mono int16 at 16 kHz, one dimension. All chunks are within two search
    distances of the same length; there is no short last one.
    """
    total = len(pcm)
    if total == 0:
        return ()
    count, radius = _layout(total / SAMPLE_RATE, options)
    reach = round(radius * SAMPLE_RATE)
    cuts = [_cut_near(pcm, round(k * total / count), reach) for k in range(1, count)]
    edges = [0, *cuts, total]
    return tuple(Chunk(index, start, end) for index, (start, end) in enumerate(pairwise(edges)))


def _layout(seconds: float, options: ChunkingOptions) -> tuple[int, float]:
    """Number of chunks, and how many seconds from an even boundary a cut may lie."""
    length = options.chunk_seconds
    bounded = seconds > _LONG_FILE_SECONDS
    if bounded:
        length = min(length, options.max_chunk_seconds)
    radius = min(options.search_seconds, length / 3)
    if bounded:  # a chunk may grow by the radius at both ends
        length = min(length, max(options.max_chunk_seconds - 2 * radius, length / 3))
    count = max(1, math.ceil(seconds / length))
    even = seconds / count
    radius = min(radius, even / 3)
    if bounded:
        radius = min(radius, (options.max_chunk_seconds - even) / 2)
    return count, radius


def _cut_near(pcm: Pcm, nominal: int, reach: int) -> int:
    """The middle of the longest silence within `reach` samples of `nominal`.

    Where the loudness hardly changes there is no silence; then the quietest moment.
    """
    frames = 2 * reach // _FRAME
    if frames < 2 * _SMOOTH_FRAMES:
        return nominal
    start = nominal - frames * _FRAME // 2
    levels = _levels(np.asarray(pcm[start : start + frames * _FRAME]))
    floor, peak = float(_moving_mean(levels, _PAUSE_FRAMES).min()), float(levels.max())
    if peak - floor < _CONTRAST_DB:
        centres = start + np.arange(frames) * _FRAME + _FRAME // 2
        quietest = np.flatnonzero(levels == levels.min())
        return _nearest(centres[quietest], nominal)
    threshold = floor + min(_SILENCE_SHARE * (peak - floor), _SILENCE_DB)
    begins, ends = _runs(levels <= threshold)
    lengths = np.minimum((ends - begins) * _FRAME, _LONG_SILENCE)
    middles = start + (begins + ends) * _FRAME // 2
    return _nearest(middles[lengths == lengths.max()], nominal)


def _levels(samples: Pcm) -> Levels:
    """Loudness in dB of full scale, a value for each 10 ms, smoothed over 50."""
    frames = samples.reshape(-1, _FRAME).astype(np.float32) / 32768.0
    power = frames.var(axis=1)  # not the mean square: a constant offset is no sound
    smooth = _moving_mean(np.pad(power, _SMOOTH_FRAMES // 2, mode="edge"), _SMOOTH_FRAMES)
    return np.asarray(10.0 * np.log10(np.maximum(smooth, 10 ** (_FLOOR_DB / 10))))


def _moving_mean(values: Levels, length: int) -> Levels:
    """Of every run of `length` values, or of all if there are fewer."""
    length = min(length, len(values))
    return np.convolve(values, np.full(length, 1.0 / length), mode="valid")


def _runs(flags: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """First index and one past the last of every run of True."""
    steps = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)


def _nearest(positions: npt.NDArray[Any], nominal: int) -> int:
    return int(positions[np.abs(positions - nominal).argmin()])

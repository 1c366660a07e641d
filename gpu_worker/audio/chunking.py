"""Cut a file into chunks: in pauses of the speech, near even boundaries.

Pure policy over an array of samples, which may be a memory map: only the stretches
around the boundaries are read. The chunk's own task finds the speech inside a chunk.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

from gpu_worker.audio.cuts import Detector, Pcm, cut_near
from gpu_worker.errors import InvalidOption
from gpu_worker.pcm import SAMPLE_RATE

# A pause is near enough, and to listen for it costs as much as to find the speech of a chunk.
_LEAST_SEARCH_SECONDS = 5.0
_LONG_FILE_SECONDS = 1800.0  # from here on `max_chunk_seconds` holds
# Boundaries around which is searched at a time: no chunk is begun before the last cut is there, and
# the detector lets other threads run meanwhile.
_SEARCHES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of the file, in samples at 16 kHz; `end` belongs to the next."""

    index: int
    start: int
    end: int

    @property
    def start_seconds(self) -> float:
        """The chunk's start in the file, in seconds."""
        return self.start / SAMPLE_RATE

    @property
    def end_seconds(self) -> float:
        """The chunk's end in the file, in seconds; the next one starts there."""
        return self.end / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """The chunk's length in seconds."""
        return (self.end - self.start) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class ChunkingOptions:
    """The wished length of chunks, and how far from it cuts may lie.

    Chunks have `chunk_seconds`, or less where a file would have fewer chunks than one of
    `even_chunks`, the largest of them first: then few workers end together, since 24 chunks are as
    many for each of 2, 3, 4, 6 or 8. But for that the chunks of a file are not shorter than
    `even_chunk_seconds` on average, so that a message costs little beside its work. Cuts are looked
    for within `search_seconds` of the even boundaries, around short chunks within an eighth of one
    or five seconds, and never further than a third of it. In files over 30 minutes no chunk exceeds
    `max_chunk_seconds`.

    Raises InvalidOption.
    """

    chunk_seconds: float = 300.0
    search_seconds: float = 15.0
    max_chunk_seconds: float = 600.0
    even_chunks: tuple[int, ...] = (24, 12, 6, 4, 2)
    even_chunk_seconds: float = 45.0

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


def plan_chunks(
    pcm: Pcm, options: ChunkingOptions = _DEFAULT_OPTIONS, detector: Detector | None = None
) -> tuple[Chunk, ...]:
    """Cut a file into chunks that cover it without gaps and overlaps; no samples, no chunks.

    `pcm` is mono int16 at 16 kHz, one dimension. All chunks are within two search
    distances of the same length; there is no short last one. `detector` gives the
    likelihood of speech around each boundary (`gpu_worker/audio/vad.py`); without it the
    cuts are in silence.
    """
    total = len(pcm)
    if total == 0:
        return ()
    count, radius = _layout(total / SAMPLE_RATE, options)
    reach = round(radius * SAMPLE_RATE)
    boundaries = [round(k * total / count) for k in range(1, count)]
    with ThreadPoolExecutor(_SEARCHES_AT_ONCE) as threads:
        cuts = threads.map(lambda boundary: cut_near(pcm, boundary, reach, detector), boundaries)
        edges = [0, *cuts, total]
    return tuple(Chunk(index, start, end) for index, (start, end) in enumerate(pairwise(edges)))


def _layout(seconds: float, options: ChunkingOptions) -> tuple[int, float]:
    """Return the number of chunks, and how many seconds from an even boundary a cut may lie."""
    fits = (count for count in options.even_chunks if seconds >= count * options.even_chunk_seconds)
    even = next(fits, 1)
    longest = options.chunk_seconds
    bounded = seconds > _LONG_FILE_SECONDS
    if bounded:
        longest = min(longest, options.max_chunk_seconds)
    length = min(longest, seconds / even)
    radius = min(options.search_seconds, max(_LEAST_SEARCH_SECONDS, length / 8), length / 3)
    if bounded:  # a chunk may grow by the radius at both ends
        longest = min(longest, max(options.max_chunk_seconds - 2 * radius, length / 3))
    count = max(even, math.ceil(seconds / longest))
    each = seconds / count
    radius = min(radius, each / 3)
    if bounded:
        radius = min(radius, (options.max_chunk_seconds - each) / 2)
    return count, radius

"""When files come, how long they are, and what their chunks cost. Pure, by a seed.

Every scaler gets the very same jobs: what a chunk takes is drawn with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gpu_worker.audio.chunking import ChunkingOptions

HOUR = 3600.0
# A call, a lecture, a long recording: the share of files, and their lengths in seconds.
LENGTHS = ((0.797, 60.0, 600.0), (0.2, 1800.0, 5400.0), (0.003, 9 * HOUR, 11 * HOUR))
NOISE = 0.25  # of the logarithm of a chunk's time: most are within a half and twice
_CHUNK_SECONDS = ChunkingOptions().chunk_seconds

Random = np.random.Generator
Times = Callable[
    [Random, float], list[float]
]  # of submissions, by how many are a GPU's work an hour


@dataclass(frozen=True, slots=True)
class Job:
    """One file; its chunks are of equal length, up to 300 s, also in a file of few chunks."""

    submitted: float  # seconds from the start
    chunk_audio_seconds: float
    chunk_seconds: tuple[float, ...]  # what a worker needs for each

    @property
    def longest(self) -> float:
        """What the job takes if every chunk finds a free worker at once."""
        return max(self.chunk_seconds)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A way in which files come."""

    name: str
    says: str
    maximum: int  # workers
    times: Times
    most_seeds: int = 99  # that are played


def jobs_of(pattern: Pattern, seed: int, speed: float) -> tuple[Job, ...]:
    """One play of a pattern. `speed`: seconds of audio that a worker does in a second."""
    rng = np.random.default_rng([seed, *pattern.name.encode()])
    jobs_an_hour = HOUR * speed / mean_seconds()
    times = sorted(pattern.times(rng, jobs_an_hour))
    return tuple(_job(rng, at, speed) for at in times)


def mean_seconds() -> float:
    """The average file."""
    return sum(share * (low + high) / 2 for share, low, high in LENGTHS)


def _job(rng: Random, at: float, speed: float) -> Job:
    kind = rng.choice(len(LENGTHS), p=[share for share, _, _ in LENGTHS])
    seconds = rng.uniform(*LENGTHS[kind][1:])
    count = math.ceil(seconds / _CHUNK_SECONDS)
    # The factor's mean is 1, so that the speed is what was asked for.
    factors = rng.lognormal(-NOISE * NOISE / 2, NOISE, count)
    each = seconds / count
    return Job(at, each, tuple((each / speed * factors).tolist()))


def _poisson(
    rng: Random, rate: Callable[[float], float], highest: float, until: float
) -> list[float]:
    """Arrivals at a rate that changes, in jobs a second; thinned from the highest."""
    times, now = [], 0.0
    while (now := now + rng.exponential(1 / highest)) < until:
        if rng.random() < rate(now) / highest:
            times.append(now)
    return times


def steady(gpus: float, hours: float) -> Times:
    """As many files as keep that many GPUs busy."""

    def times(rng: Random, jobs: float) -> list[float]:
        rate = gpus * jobs / HOUR
        return _poisson(rng, lambda _: rate, rate, hours * HOUR)

    return times


def bursts(gpus: float, files: int, hours: float) -> Times:
    """A little all the time, and each half hour or so many files within a minute."""

    def times(rng: Random, jobs: float) -> list[float]:
        found = steady(gpus, hours)(rng, jobs)
        now = 0.0
        while (now := now + rng.exponential(HOUR / 2)) < hours * HOUR:
            found += (now + rng.uniform(0, 60, rng.integers(files // 2, files * 3 // 2))).tolist()
        return found

    return times


def rhythm(gpus: float, hours: float = 24.0) -> Times:
    """From evening to evening: next to nothing in the night, the most at the middle of the day."""

    def times(rng: Random, jobs: float) -> list[float]:
        highest = gpus * jobs / HOUR

        def rate(now: float) -> float:
            return highest * max(0.005, math.sin(math.pi * now / (hours * HOUR)) ** 4)

        return _poisson(rng, rate, highest, hours * HOUR)

    return times


def at_once(files: int) -> Times:
    """All in the first moment."""
    return lambda rng, jobs: [0.0] * files


PATTERNS = (
    Pattern("steady", "20 GPUs' work, 4 hours", 100, steady(20, 4)),
    Pattern(
        "bursts", "2 GPUs' work, about 100 files each half hour, 6 hours", 200, bursts(2, 100, 6)
    ),
    Pattern("night", "24 hours, up to 40 GPUs' work at noon", 200, rhythm(40)),
    Pattern("ten-thousand", "10,000 files at once", 1000, at_once(10_000)),
    Pattern("large", "600 GPUs' work, 2 hours", 1000, steady(600, 2), most_seeds=1),
)
QUICK = (
    Pattern("steady", "10 GPUs' work, an hour", 50, steady(10, 1)),
    Pattern(
        "bursts", "1 GPU's work, about 50 files each half hour, 2 hours", 100, bursts(1, 50, 2)
    ),
    Pattern("at-once", "500 files at once", 200, at_once(500)),
)

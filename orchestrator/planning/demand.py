"""What a planned cluster shall do: hours of audio a day, their peak, and how long files are. Pure.

The rate of submissions over a day is a power of a half sine, with its highest point at noon. Its
power follows from the peak: the highest rate as a multiple of the day's mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpu_worker.audio.chunking import ChunkingOptions
from gpu_worker.errors import InvalidOption

DAY, HOUR = 86_400.0, 3_600.0
MOST_PEAK = 20.0  # a day of less than two hours
# What can be played in some seconds, and is more than nothing.
LEAST_HOURS, LONGEST_FILE, MOST_FILES = 0.01, 7 * DAY, 20e6
_CHUNK_SECONDS = ChunkingOptions().chunk_seconds


@dataclass(frozen=True, slots=True)
class FileLengths:
    """A share of the files, whose lengths are between two bounds, all as likely."""

    share: float
    shortest: float  # seconds
    longest: float

    @property
    def mean(self) -> float:
        """The mean length in seconds."""
        return (self.shortest + self.longest) / 2


# A call, and a lecture: the files of `benchmarks/fleet/arrivals.py` but for its very long ones.
MIXED = (FileLengths(0.8, 60.0, 600.0), FileLengths(0.2, 1_800.0, 5_400.0))


@dataclass(frozen=True, slots=True)
class Demand:
    """What comes on a day. Raises InvalidOption for what cannot be."""

    hours_a_day: float
    peak: float = 1.0
    files: tuple[FileLengths, ...] = MIXED

    def __post_init__(self) -> None:
        if not LEAST_HOURS <= self.hours_a_day < math.inf:
            raise InvalidOption(
                f"The hours of audio a day must be {LEAST_HOURS} or more.",
                hint="Less than that is seconds of work a day: one worker of each pool is enough.",
            )
        if not 1 <= self.peak <= MOST_PEAK:
            raise InvalidOption(
                f"The peak must be between 1 and {MOST_PEAK:g}.",
                hint="It is the busiest moment's rate, as a multiple of the day's mean.",
            )
        if not self.files or any(
            one.share <= 0 or not 0 < one.shortest <= one.longest <= LONGEST_FILE
            for one in self.files
        ):
            raise InvalidOption(
                "Each share of files and its lengths must be above 0, and no file above a week.",
                hint="Write SHARE:MINUTES-MINUTES, the shorter length first.",
            )
        if self.files_a_day * self.peak > MOST_FILES:
            raise InvalidOption(
                f"That is more than {MOST_FILES:,.0f} files a day at the peak, and cannot be "
                "played.",
                hint="Plan a part of it: workers, memory, store and cost grow with the files.",
            )

    @property
    def file_seconds(self) -> float:
        """The mean length of a file."""
        shares = sum(one.share for one in self.files)
        return sum(one.share * one.mean for one in self.files) / shares

    @property
    def files_a_day(self) -> float:
        """How many files come on a day."""
        return self.hours_a_day * HOUR / self.file_seconds

    @property
    def peak_hours(self) -> float:
        """Hours of audio that come in an hour at the peak's rate."""
        return self.hours_a_day / 24 * self.peak


@dataclass(frozen=True, slots=True)
class Submission:
    """A file that comes: when, and the lengths of its chunks."""

    at: float  # seconds from midnight of the first day
    chunks: tuple[float, ...]  # seconds of audio


def submissions(demand: Demand, first: float, last: float, seed: int = 0) -> list[Submission]:
    """Return the files that come between two moments of a day, at random, by their time.

    `first` and `last` are seconds from midnight. A file's chunks are all of one length.
    """
    dice = np.random.default_rng(seed)
    highest = demand.files_a_day * demand.peak / DAY
    power = _power(demand.peak)
    coming = first + np.cumsum(
        dice.exponential(1 / highest, math.ceil((last - first) * highest * 1.1) + 50)
    )
    coming = coming[coming < last]
    rates = np.abs(np.sin(math.pi * coming / DAY)) ** power  # as parts of the highest one
    times = coming[dice.random(len(coming)) < rates]
    shares = np.array([one.share for one in demand.files])
    kinds = dice.choice(len(shares), len(times), p=shares / shares.sum())
    return [
        Submission(float(at), _chunks(demand.files, int(kind), dice.random()))
        for at, kind in zip(times, kinds, strict=True)
    ]


def _chunks(files: Sequence[FileLengths], kind: int, place: float) -> tuple[float, ...]:
    one = files[kind]
    seconds = one.shortest + place * (one.longest - one.shortest)
    count = math.ceil(seconds / _CHUNK_SECONDS)
    return (seconds / count,) * count


def _power(peak: float) -> float:
    """Return the power of the half sine whose mean is the peak's reciprocal."""
    low, high = 0.0, 4.0 * MOST_PEAK**2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean(middle) > 1 / peak else (low, middle)
    return low if peak > 1 else 0.0


def _mean(power: float) -> float:
    """Return the mean of sin(x) ** power over half a turn."""
    logs = math.lgamma((power + 1) / 2) - math.lgamma(power / 2 + 1)
    return math.exp(logs) / math.sqrt(math.pi)

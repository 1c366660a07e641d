"""What a demand needs: GPUs, CPU workers, Redis' memory, the store's growth. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gpu_worker.errors import InvalidOption
from orchestrator.planning.day import Played, play
from orchestrator.planning.demand import DAY, Demand, Submission, submissions
from orchestrator.scaling.pools import WorkerPool

# Enough files that the percentiles hold still, and not so many that a plan takes long. Where they
# are few, a week, or longer if so few come that a week may have none.
_LEAST_FILES, _MOST_FILES = 5_000, 50_000
_MOST_DAYS, _FEWEST_FILES = 7, 100
_LEAST_SECONDS = 2400.0  # of a part of a day; the fleet has grown within its first half
_MOST_WORKERS = 20_000
_MOST_USE = 0.85  # of GPUs at the peak: with more, waits are a matter of luck
_CPU_USE = 0.7  # of CPU workers at the peak; the rest is for what comes at once
# Bytes of Redis, measured by benchmarks/cluster/million_jobs.py and redis_memory.py: with nothing
# in it, for a job that ended within a day, for an open one, and for each of its waiting chunks.
REDIS_EMPTY, REDIS_ENDED, REDIS_OPEN, REDIS_WAITING = 10e6, 8e3, 6.6e3, 1.2e3
# Of the store, in MB for an hour of audio: 16,000 samples a second of two bytes, and the
# checkpoints, plan and result of a file (two minutes of speech with `base`: 1.9).
PCM_MB, RESULTS_MB = 115.2, 2.0
_MEGA, _DAYS_A_MONTH = 1e6, 365 / 12


@dataclass(frozen=True, slots=True)
class Workers:
    """What workers do, and what the plan is to reach with them.

    Speeds are in seconds of audio that one worker does in a second, through all stages of its pool.
    """

    gpu_speed: float
    cpu_speed: float
    start_seconds: float = 90.0  # from the moment at which one is wanted until it works
    wait_seconds: float = 300.0  # that 95 % of files may wait

    def __post_init__(self) -> None:
        """Raise InvalidOption for what cannot be."""
        if not (0 < self.gpu_speed < math.inf and 0 < self.cpu_speed < math.inf):
            raise InvalidOption(
                "The speed of a GPU and of a CPU worker must be above 0.",
                hint="It is in seconds of audio that one worker does in a second.",
            )
        if not (0 <= self.start_seconds <= DAY and 0 <= self.wait_seconds < math.inf):
            raise InvalidOption(
                "A worker's start and a file's wait must be 0 or more, and a start at most a day.",
                hint="The start is in seconds, the wait of the command in minutes.",
            )


@dataclass(frozen=True, slots=True)
class Fleet:
    """GPU workers that reach it, or that come as near as they can."""

    gpus: int  # at most at a time
    gpu_hours: float  # a day
    median_wait: float  # seconds
    high_wait: float  # seconds: 95 % of files wait no longer
    reaches: bool  # the wait that was asked for


@dataclass(frozen=True, slots=True)
class Prices:
    """In one currency."""

    gpu_hour: float = 0.0
    cpu_worker_hour: float = 0.0
    gigabyte_month: float = 0.0  # of the store


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A cluster for a demand."""

    busy_gpus: float  # at the peak, if none were ever idle
    scaled: Fleet  # from none up to so many, by the scaling policy
    always_on: Fleet
    cpu_workers: int
    redis_bytes: float
    store_bytes_a_day: float
    kept_bytes: float  # of the store, once as many days are kept as are asked for
    scaled_cost: float  # a day
    always_on_cost: float


def make_plan(
    demand: Demand,
    workers: Workers,
    *,
    keep_days: float = 30.0,
    source_mb: float = 28.8,
    prices: Prices | None = None,
) -> ClusterPlan:
    """Plan a cluster. `source_mb`: of an hour of audio as it is sent; 28.8 is 64 kbit/s.

    Raises InvalidOption for more work than a plan knows workers for.
    """
    busy = demand.peak_hours / workers.gpu_speed
    if busy > _MOST_WORKERS:
        raise InvalidOption(
            f"That keeps {busy:,.0f} GPUs busy; a plan knows {_MOST_WORKERS:,} at most.",
            hint="Look at the speed of one GPU, or plan a part of it.",
        )
    files, counted_from = _played_files(demand)
    work = demand.hours_a_day / workers.gpu_speed

    def played(least: int, most: int) -> Played:
        pool = WorkerPool(name="gpu", minimum=least, maximum=most)
        return play(files, pool, workers.gpu_speed, workers.start_seconds, counted_from)

    def fleet(gpus: int, one: Played, hours: float) -> Fleet:
        high = one.wait(95)
        return Fleet(gpus, hours, one.wait(50), high, high <= workers.wait_seconds)

    first = max(1, math.ceil(busy / _MOST_USE))
    most, scaled = _fewest(first, workers.wait_seconds, lambda gpus: played(0, gpus))
    always, on = _fewest(first, workers.wait_seconds, lambda gpus: played(gpus, gpus))
    waiting = max(scaled.most_waiting, on.most_waiting)
    redis = REDIS_EMPTY + REDIS_ENDED * demand.files_a_day + REDIS_WAITING * waiting
    redis += REDIS_OPEN * max(scaled.most_open, on.most_open)
    store = demand.hours_a_day * (source_mb + PCM_MB + RESULTS_MB) * _MEGA
    cpu_workers = max(1, math.ceil(demand.peak_hours / workers.cpu_speed / _CPU_USE))
    costs = prices or Prices()
    other = cpu_workers * 24 * costs.cpu_worker_hour
    other += store * keep_days / 1e9 * costs.gigabyte_month / _DAYS_A_MONTH
    scaled_hours = work * scaled.worker_hours / scaled.work_hours
    return ClusterPlan(
        busy_gpus=busy,
        scaled=fleet(most, scaled, scaled_hours),
        always_on=fleet(always, on, always * 24.0),
        cpu_workers=cpu_workers,
        redis_bytes=redis,
        store_bytes_a_day=store,
        kept_bytes=store * keep_days,
        scaled_cost=scaled_hours * costs.gpu_hour + other,
        always_on_cost=always * 24 * costs.gpu_hour + other,
    )


def _played_files(demand: Demand) -> tuple[list[Submission], float]:
    """Return files to play, and from when on they count.

    Of a day with few files there are several, of one with very many its middle.
    """
    a_day = demand.files_a_day
    if a_day <= _MOST_FILES:
        days = min(_MOST_DAYS, math.ceil(_LEAST_FILES / a_day))
        days = max(days, math.ceil(_FEWEST_FILES / a_day))
        return submissions(demand, 0.0, days * DAY), 0.0
    half = max(_LEAST_SECONDS, DAY * _MOST_FILES / a_day / demand.peak) / 2
    return submissions(demand, DAY / 2 - half, DAY / 2 + half), DAY / 2


def _fewest(first: int, wait_seconds: float, played: Callable[[int], Played]) -> tuple[int, Played]:
    """Return the fewest workers with which 95 % of files wait no longer, and what they do.

    Where no number is enough, as workers take longer to start, it is the one beyond which no more
    of them help.
    """
    tried: dict[int, Played] = {}

    def wait(workers: int) -> float:
        if workers not in tried:
            tried[workers] = played(workers)
        return tried[workers].wait(95)

    high = first
    while wait(high) > wait_seconds and high < _MOST_WORKERS:
        larger = high * 2
        if high > 2 * first and wait(larger) > 0.99 * wait(high):
            break
        high = larger
    enough = max(wait_seconds, wait(high))
    low = first - 1  # not enough, as it is less than what is busy
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if wait(middle) <= enough else (middle, high)
    wait(high)
    return high, tried[high]

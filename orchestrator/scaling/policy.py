"""How many workers a pool should have. Pure: facts in, a number out.

    required = clamp(max(ceil(Σ backlog ÷ speed ÷ target_drain_seconds), at work), minimum, maximum)

summed over the pool's stages, so that a second of audio counts as what it costs. What is being
worked on counts as backlog until it is done, and whoever works is kept: to do the same work with
fewer saves nothing. Up at once; on the way down two things hold:

    the largest required of the last `scale_down_seconds`, and
    as many as had work for half of the last `steady_seconds`, but at most thrice the former

so that a load that stays keeps its workers through a pause of a minute, and a burst does not.
`benchmarks/simulate_fleet.py` plays this policy against others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.scaling.pools import WorkerPool
from tasks.runs.stages import Stage

SAMPLE_SECONDS = 15.0  # apart, of what is remembered: as often as Kubernetes asks
KEPT_TIMES = 3  # what is required, at most, is kept of the workers of a load that stayed


@dataclass(frozen=True, slots=True)
class StageLoad:
    """One stage's work in one pool."""

    audio_seconds: float  # waiting or in flight
    speed: float  # seconds of audio that one unit of work gets done in a second
    units: int = 0  # that many pieces at most can be worked on at once
    in_flight: int = 0  # of the units


@dataclass(frozen=True, slots=True)
class Load:
    """A pool's work at one moment."""

    stages: Mapping[Stage, StageLoad]
    is_expected: bool = False  # work for this pool will come of what others do now

    @property
    def backlog_seconds(self) -> float:
        """Seconds of audio waiting or in flight."""
        return sum(stage.audio_seconds for stage in self.stages.values())

    @property
    def in_flight(self) -> int:
        """Units that are being worked on."""
        return sum(stage.in_flight for stage in self.stages.values())

    @property
    def units(self) -> int:
        """Units that are waiting or in flight."""
        return sum(stage.units for stage in self.stages.values())

    @property
    def work_seconds(self) -> float:
        """How long one unit of work after another would take."""
        return sum(stage.audio_seconds / stage.speed for stage in self.stages.values())


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was required at one moment."""

    at: float  # seconds since 1970
    workers: int
    busy: int = 0  # workers that had work


def busy_workers(load: Load, pool: WorkerPool) -> int:
    """How many of the pool's workers the work in flight takes."""
    return min(pool.maximum, math.ceil(load.in_flight * pool.share / pool.concurrency))


def required_workers(load: Load, pool: WorkerPool) -> int:
    """What the load asks for now, whatever was asked for before."""
    seconds = load.work_seconds * pool.share
    wanted = math.ceil(seconds / (pool.concurrency * pool.target_drain_seconds))
    # More workers than pieces of work would stand idle.
    wanted = min(wanted, math.ceil(load.units / pool.concurrency))
    floor = 1 if load.in_flight or load.is_expected or load.units else 0
    required = max(floor, wanted, busy_workers(load, pool))
    return max(pool.minimum, min(pool.maximum, required))


def recommend(
    load: Load, pool: WorkerPool, before: Sequence[Recommendation], now: float
) -> tuple[int, tuple[Recommendation, ...]]:
    """The number of workers to have, and what is to be remembered for the next time."""
    latest = Recommendation(now, required_workers(load, pool), busy_workers(load, pool))
    kept: list[Recommendation] = []
    for one in before:
        holds = one.workers > latest.workers and now - one.at < pool.scale_down_seconds
        is_sample = now - one.at < pool.steady_seconds and (
            not kept or _slot(kept[-1]) < _slot(one)
        )
        if one.at <= now and (holds or is_sample):
            kept.append(one)
    kept.append(latest)
    held = max(
        one.workers for one in kept if now - one.at < pool.scale_down_seconds or one is latest
    )
    return max(held, min(_steady(kept, pool), KEPT_TIMES * held)), tuple(kept)


def _steady(kept: Sequence[Recommendation], pool: WorkerPool) -> int:
    """As many as were at work at half of the moments; before the first nobody was."""
    samples = {_slot(one): one.busy for one in reversed(kept)}  # the first of each slot
    busiest = sorted(samples.values(), reverse=True)
    half = math.ceil(pool.steady_seconds / SAMPLE_SECONDS) // 2
    return busiest[half] if half < len(busiest) and pool.steady_seconds else 0


def _slot(one: Recommendation) -> int:
    return int(one.at // SAMPLE_SECONDS)

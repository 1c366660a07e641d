"""Decide how many workers a pool should have. Pure: facts in, a number out.

    required = clamp(max(ceil(Σ backlog ÷ speed ÷ target_drain_seconds), at work), minimum, maximum)

The sum is over the pool's stages, so that each second of audio counts by its cost. A unit in
work counts as backlog until it is done, and workers at work are kept: fewer workers for the same
work save nothing. The number rises at once; on the way down it is the larger of

    the largest required of the last `scale_down_seconds`, and
    as many as had work for half of the last `steady_seconds`, but at most thrice the former

so that a load that stays keeps its workers through a pause of a minute, and a burst does not.
`benchmarks/simulate_fleet.py` compares this policy with others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.scaling.deadlines import Due, needed_at_once
from orchestrator.scaling.pools import WorkerPool
from tasks.runs.stages import Stage

SAMPLE_SECONDS = 15.0  # between remembered samples: how often Kubernetes asks
KEPT_TIMES = 3  # a steady load keeps at most this many times the required workers


@dataclass(frozen=True, slots=True)
class StageLoad:
    """The work of one stage in one pool."""

    audio_seconds: float  # waiting or in flight
    speed: float  # seconds of audio that one unit at a time gets done in a second
    units: int = 0  # waiting or in flight: so many can be worked on at once
    in_flight: int = 0  # how many of the units are in flight


@dataclass(frozen=True, slots=True)
class Load:
    """The work of a pool at one moment."""

    stages: Mapping[Stage, StageLoad]
    is_expected: bool = False  # other stages in progress will soon make work for this pool
    due: tuple[Due, ...] = ()  # the part of the work that has a `ready_by`

    @property
    def backlog_seconds(self) -> float:
        """Seconds of audio that wait or are in flight."""
        return sum(stage.audio_seconds for stage in self.stages.values())

    @property
    def in_flight(self) -> int:
        """Number of units in flight."""
        return sum(stage.in_flight for stage in self.stages.values())

    @property
    def units(self) -> int:
        """Number of units that wait or are in flight."""
        return sum(stage.units for stage in self.stages.values())

    @property
    def work_seconds(self) -> float:
        """Seconds that the work takes, one unit after another."""
        return sum(stage.audio_seconds / stage.speed for stage in self.stages.values())


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was required at one moment."""

    at: float  # seconds since 1970
    workers: int
    busy: int = 0  # workers that had units in flight


def busy_workers(load: Load, pool: WorkerPool) -> int:
    """Return how many of the pool's workers the units in flight occupy."""
    return min(pool.maximum, math.ceil(load.in_flight * pool.share / pool.concurrency))


def required_workers(load: Load, pool: WorkerPool, now: float = 0.0) -> int:
    """Return the number of workers that the load needs now, without regard to earlier numbers.

    `now`: seconds since 1970; without work that has a `ready_by` it does not matter.
    """
    rest = max(0.0, load.work_seconds - sum(one.work_seconds for one in load.due))
    at_once = rest / pool.target_drain_seconds
    at_once += needed_at_once(load.due, now)
    wanted = math.ceil(round(at_once * pool.share / pool.concurrency, 9))
    # More workers than units would be idle.
    wanted = min(wanted, math.ceil(load.units / pool.concurrency))
    floor = 1 if load.in_flight or load.is_expected or load.units else 0
    required = max(floor, wanted, busy_workers(load, pool))
    return max(pool.minimum, min(pool.maximum, required))


def recommend(
    load: Load, pool: WorkerPool, before: Sequence[Recommendation], now: float
) -> tuple[int, tuple[Recommendation, ...]]:
    """Return the number of workers to have, and the recommendations to remember for the next call.

    `now`: seconds since 1970; `before`: what the last call returned to remember.
    """
    latest = Recommendation(now, required_workers(load, pool, now), busy_workers(load, pool))
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
    """Return how many workers were busy in half of the samples; missing ones count as 0."""
    samples = {_slot(one): one.busy for one in reversed(kept)}  # the first of each slot
    busiest = sorted(samples.values(), reverse=True)
    half = math.ceil(pool.steady_seconds / SAMPLE_SECONDS) // 2
    return busiest[half] if half < len(busiest) and pool.steady_seconds else 0


def _slot(one: Recommendation) -> int:
    return int(one.at // SAMPLE_SECONDS)

"""How many workers a pool should have. Pure: facts in, a number out.

    required = clamp(ceil(Σ backlog ÷ speed ÷ target_drain_seconds), floor, maximum)

summed over the pool's stages, so that a second of audio counts as what it costs. What is being
worked on counts as backlog until it is done: a pool that is busy with the last of the queue is not
an idle one. On the way down the largest number of the last `scale_down_seconds` holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.scaling.pools import WorkerPool
from tasks.stages import Stage


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


def required_workers(load: Load, pool: WorkerPool) -> int:
    """What the load asks for now, whatever was asked for before."""
    seconds = load.work_seconds * pool.share
    wanted = math.ceil(seconds / (pool.concurrency * pool.target_drain_seconds))
    # More workers than pieces of work would stand idle.
    wanted = min(wanted, math.ceil(load.units / pool.concurrency))
    floor = 1 if load.in_flight or load.is_expected or load.units else 0
    return max(pool.minimum, min(pool.maximum, max(floor, wanted)))


def recommend(
    load: Load, pool: WorkerPool, before: Sequence[Recommendation], now: float
) -> tuple[int, tuple[Recommendation, ...]]:
    """The number of workers to have, and what is to be remembered for the next time."""
    latest = Recommendation(now, required_workers(load, pool))
    recent = [one for one in before if now - pool.scale_down_seconds < one.at <= now]
    # Of those that a later and larger one outlives, nothing needs to be remembered.
    kept = (*(one for one in recent if one.workers > latest.workers), latest)
    desired = max(one.workers for one in kept)
    return max(pool.minimum, min(pool.maximum, desired)), kept

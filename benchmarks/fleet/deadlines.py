"""Late jobs and their cost: lanes alone beside lanes that heed `ready_by`, for the same jobs.

Both have two lanes and the policy of production. Lanes alone size the fleet by
`target_drain_seconds` for all work; with `ready_by` work that has one counts by it, and waits by
it. The settings of both are swept, and late jobs are compared for the same worker hours.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.fleet.arrivals import Job
from benchmarks.fleet.lanes import NEVER, LanedSimulation, Lanes, drawn_deadlines
from benchmarks.fleet.scalers import OURS, Backlog, Facts, Keda
from benchmarks.fleet.simulation import Outcome
from orchestrator.scaling.policy import Load, StageLoad, recommend
from orchestrator.scaling.pools import WorkerPool
from tasks.runs.stages import Stage

DRAINS = (60.0, 300.0, 600.0, 1200.0, 2400.0, 4800.0, 9600.0)
SAME_COST = 1.01  # times the hours of lanes alone at most
DEFAULT_DRAIN = WorkerPool(name="gpu").target_drain_seconds


class ByDeadline(Backlog):
    """The policy of production, with the work that has a `ready_by`."""

    def __init__(self, pool: WorkerPool, lanes: Lanes) -> None:
        Backlog.__init__(self, pool)
        self._lanes = lanes

    def wanted(self, facts: Facts) -> float:
        """Also let late jobs move up, as the reconciler does."""
        self._lanes.move_up(facts.now)
        units = facts.waiting + facts.in_flight
        load = StageLoad(facts.audio_seconds, self._speed, units, facts.in_flight)
        due = self._lanes.due() if units else ()
        stages = {Stage.TRANSCRIBE: load} if units else {}
        desired, self._kept = recommend(Load(stages, due=due), self._pool, self._kept, facts.now)
        return desired


@dataclass(frozen=True, slots=True)
class Late:
    """One way at one setting, over all plays of a pattern."""

    heeds: bool
    drain: float  # target_drain_seconds
    gpu_hours: float  # of an average play
    late: float  # share of the jobs with a `ready_by` that were not ready
    late_p95: float  # by how many seconds, of the late ones
    rest_p50: float  # wait of the jobs without one, in seconds
    rest_p95: float
    moved_up: int  # chunks, in all plays
    killed: int


def play(
    jobs: Sequence[Job],
    ready_by: Sequence[float],
    *,
    heeds: bool,
    drain: float,
    maximum: int,
    speed: float,
    seed: int,
) -> tuple[Outcome, Lanes]:
    """One play."""
    lanes = Lanes(jobs, ready_by, heeds, speed, maximum)
    pool = WorkerPool(name="gpu", maximum=maximum, target_drain_seconds=drain)
    rule = ByDeadline(pool, lanes) if heeds else Backlog(pool)
    simulation = LanedSimulation(jobs, Keda(rule, maximum, OURS), random.Random(seed), queue=lanes)
    return simulation.run(), lanes


def lateness(jobs: Sequence[Job], ready_by: Sequence[float], outcome: Outcome) -> np.ndarray:
    """Return by how many seconds each job with a `ready_by` was late; below 0: it was not."""
    ends = outcome.waits + [job.submitted + job.longest for job in jobs]
    due = np.array(ready_by)
    return (ends - due)[due < NEVER]


def measured(
    plays: Sequence[tuple[Job, ...]], *, heeds: bool, drain: float, maximum: int, speed: float
) -> Late:
    """All plays of one way."""
    late, rest, hours, moved, killed = [], [], [], 0, 0
    for seed, jobs in enumerate(plays):
        ready_by = drawn_deadlines(jobs, seed)
        outcome, lanes = play(
            jobs, ready_by, heeds=heeds, drain=drain, maximum=maximum, speed=speed, seed=seed
        )
        late.append(lateness(jobs, ready_by, outcome))
        rest.append(outcome.waits[np.array(ready_by) == NEVER])
        hours.append(outcome.gpu_hours)
        moved += lanes.moved_up
        killed += outcome.killed
    by, waits = np.concatenate(late), np.concatenate(rest)
    median, high = np.percentile(waits, [50, 95]) if len(waits) else (0.0, 0.0)
    return Late(
        heeds=heeds,
        drain=drain,
        gpu_hours=float(np.mean(hours)),
        late=float(np.mean(by > 0)),
        late_p95=float(np.percentile(by[by > 0], 95)) if (by > 0).any() else 0.0,
        rest_p50=float(median),
        rest_p95=float(high),
        moved_up=moved,
        killed=killed,
    )


@dataclass(frozen=True, slots=True)
class Pair:
    """Lanes alone at one setting, and the fewest late jobs with `ready_by` for the same hours."""

    lanes: Late
    ours: Late

    @property
    def fewer(self) -> float:
        """The part of the late jobs that `ready_by` saves; 1: all."""
        return 1.0 - self.ours.late / self.lanes.late


def at_equal_cost(lanes: Sequence[Late], ours: Sequence[Late]) -> tuple[Pair, ...]:
    """Return a pair for each setting of lanes alone that makes jobs late."""
    found = []
    cheapest = min(ours, key=lambda it: it.gpu_hours)
    for one in lanes:
        same = [it for it in ours if it.gpu_hours <= one.gpu_hours * SAME_COST]
        if one.late > 0:
            best = min(same, key=lambda it: (it.late, it.gpu_hours), default=cheapest)
            found.append(Pair(one, best))
    return tuple(found)

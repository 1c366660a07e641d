"""What each scaler makes of a pattern, and who waits less at the same cost."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.fleet.arrivals import HOUR, Job
from benchmarks.fleet.scalers import Scaler
from benchmarks.fleet.simulation import Outcome, Simulation

Plays = Sequence[tuple[Job, ...]]  # of one pattern, by seed


@dataclass(frozen=True, slots=True)
class Point:
    """One scaler at one setting, over all plays."""

    scaler: Scaler
    value: float
    gpu_hours: float  # of an average play
    wait_p50: float  # over the jobs of all plays, in seconds
    wait_p95: float
    killed: int  # busy workers, in all plays
    redone_hours: float
    turns_an_hour: float
    most: int


@dataclass(frozen=True, slots=True)
class EqualCost:
    """Ours at one setting, and the best that a rival does for the same money."""

    ours: Point
    rival: Scaler
    rival_p95: float

    @property
    def ratio(self) -> float:
        """Of the p95 waits; below 1 ours waits less."""
        return self.ours.wait_p95 / self.rival_p95


def play(jobs: Sequence[Job], scaler: Scaler, value: float, maximum: int, seed: int) -> Outcome:
    """One play under one scaler."""
    return Simulation(jobs, scaler.keda(value, maximum), random.Random(seed)).run()


def measured(plays: Plays, scaler: Scaler, value: float, maximum: int) -> Point:
    """All plays under one scaler."""
    found = [play(jobs, scaler, value, maximum, seed) for seed, jobs in enumerate(plays)]
    median, high = np.percentile(np.concatenate([one.waits for one in found]), [50, 95])
    return Point(
        scaler=scaler,
        value=value,
        gpu_hours=float(np.mean([one.gpu_hours for one in found])),
        wait_p50=float(median),
        wait_p95=float(high),
        killed=sum(one.killed for one in found),
        redone_hours=sum(one.redone_hours for one in found),
        turns_an_hour=float(np.mean([one.turns_an_hour for one in found])),
        most=max(one.most for one in found),
    )


def work_hours(plays: Plays) -> float:
    """What an average play would cost if no worker ever started or stood idle."""
    return sum(sum(job.chunk_seconds) for jobs in plays for job in jobs) / len(plays) / HOUR


def frontier(points: Sequence[Point]) -> list[Point]:
    """Those than which no cheaper one waits less; the cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda one: (one.gpu_hours, one.wait_p95)):
        if not best or point.wait_p95 < best[-1].wait_p95:
            best.append(point)
    return best


def p95_at(points: Sequence[Point], gpu_hours: float) -> float:
    """The p95 wait that a sweep reaches for that cost, between its points along the frontier.

    Cheaper than its cheapest point: that one's, which is to its favour.
    """
    best = frontier(points)
    logs = [math.log(max(1.0, point.wait_p95)) for point in best]
    return math.exp(np.interp(gpu_hours, [point.gpu_hours for point in best], logs))


def at_equal_cost(ours: Point, rival: Sequence[Point]) -> EqualCost:
    """Ours beside a rival's sweep."""
    return EqualCost(ours, rival[0].scaler, p95_at(rival, ours.gpu_hours))

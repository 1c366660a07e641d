"""Our scaling policy against scalers that look at a list's length, in a simulated cluster.

    python -m benchmarks.simulate_fleet [--quick] [--patterns steady bursts …] [--speeds 40 8]
                                        [--seeds 3] [--first-seed 0] [--sweep]
                                        [--plots docs/scaling]

The policy is the one of production (`orchestrator.scaling.policy`). A job's wait is its time from
submission to its last chunk, beyond the time of its longest chunk: 0 is a fleet that has a free
worker for every chunk. The cost is GPU-hours from a worker's start to its end. Each scaler plays
the very same jobs at several values of its one setting; `at equal cost` compares ours at its
default with the p95 wait that the rival's sweep reaches for the same GPU-hours.

    backlog           ours, applied by KEDA's metrics-api trigger
    list              KEDA's Redis list trigger, everything else at its default
    list, long grace  and pods may finish their chunk
    list, tuned       and steps, looks and stabilization are set for this work, too

Exit status 1 if ours killed a busy worker.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fleet.arrivals import PATTERNS, QUICK, Pattern, jobs_of
from benchmarks.fleet.comparison import (
    EqualCost,
    Plays,
    Point,
    at_equal_cost,
    measured,
    play,
    work_hours,
)
from benchmarks.fleet.scalers import BACKLOG, LIST, RIVALS, Scaler
from benchmarks.machine import print_machine

_HEAD = (
    "pattern       scaler            setting  GPU-hours  p50 s  p95 s  killed  redone h"
    "  turns/h  most"
)


def print_point(pattern: Pattern, point: Point) -> None:
    """One row."""
    print(
        f"{pattern.name:<13} {point.scaler.name:<17} {point.value:>7g} {point.gpu_hours:>10.1f}"
        f" {point.wait_p50:>6.0f} {point.wait_p95:>6.0f} {point.killed:>7}"
        f" {point.redone_hours:>9.2f} {point.turns_an_hour:>8.1f} {point.most:>5}",
        flush=True,
    )


def print_pattern(pattern: Pattern, sweeps: Sequence[Sequence[Point]], every: bool) -> None:
    """Each scaler at its default, and each rival where its cost is nearest to ours."""
    ours = default_of(sweeps[0])
    for points in sweeps:
        nearest = min(points, key=lambda one: abs(one.gpu_hours - ours.gpu_hours))
        for point in points:
            is_beside = point is nearest and points is not sweeps[0]
            if every or is_beside or point.value == point.scaler.default:
                print_point(pattern, point)


def print_ratio(pattern: Pattern, found: Sequence[EqualCost], others: Sequence[float]) -> None:
    """Our p95 wait over each rival's."""
    ours = found[0].ours
    each = "  ".join(f"{one.rival_p95:>7.0f} {one.ratio:>6.2f}" for one in found)
    print(
        f"{pattern.name:<13} {ours.gpu_hours:>9.1f} {ours.wait_p95:>6.0f}  {each}"
        f"  {min(others):>5.2f}–{max(others):.2f}"
    )


def default_of(points: Sequence[Point]) -> Point:
    """The point of the scaler's default."""
    return next(point for point in points if point.value == point.scaler.default)


def swept(plays: Plays, pattern: Pattern, scaler: Scaler) -> list[Point]:
    """One scaler at all its settings."""
    return [measured(plays, scaler, value, pattern.maximum) for value in scaler.values]


def compare(
    patterns: Sequence[Pattern], speed: float, seeds: range, every: bool, plots: Path | None
) -> int:
    """Print both tables of one speed; how many busy workers ours killed."""
    print(f"\nA worker does {speed:g} s of audio a second: 300 s in {300 / speed:.1f} s\n\n{_HEAD}")
    sweeps: dict[str, list[list[Point]]] = {}
    work: dict[str, float] = {}
    for pattern in patterns:
        plays = [jobs_of(pattern, seed, speed) for seed in seeds[: pattern.most_seeds]]
        work[pattern.name] = work_hours(plays)
        sweeps[pattern.name] = [swept(plays, pattern, scaler) for scaler in (BACKLOG, *RIVALS)]
        print_pattern(pattern, sweeps[pattern.name], every)
        if plots:
            draw_pattern(plots, pattern, plays, sweeps[pattern.name])
    rivals = "  ".join(f"{rival.name:>14}" for rival in RIVALS)
    print(
        "\nAt equal cost, p95 wait in seconds and ours divided by it; target_drain_seconds 30–120"
    )
    print(f"pattern       GPU-hours   ours  {rivals}   {LIST.name}")
    for pattern in patterns:
        ours, *others = sweeps[pattern.name]
        found = [at_equal_cost(default_of(ours), points) for points in others]
        each = {one.value: at_equal_cost(one, others[0]).ratio for one in ours}
        print_ratio(pattern, found, [each[value] for value in each if 30 <= value <= 120])
        if every:
            print("  by setting:", *(f"{value:g} {ratio:.2f} " for value, ratio in each.items()))
    if plots:
        from benchmarks.fleet.plots import draw_curves

        draw_curves(plots / "cost.png", sweeps, work)
    return sum(point.killed for ours, *_ in sweeps.values() for point in ours)


def draw_pattern(
    plots: Path, pattern: Pattern, plays: Plays, sweeps: Sequence[Sequence[Point]]
) -> None:
    """Ours at its default beside the list's length that costs as much or a little more."""
    from benchmarks.fleet.plots import draw_timelines

    ours = default_of(sweeps[0])
    dearer = [point for point in sweeps[1] if point.gpu_hours >= ours.gpu_hours]
    rival = min(dearer or sweeps[1], key=lambda one: abs(one.gpu_hours - ours.gpu_hours))
    names = {
        f"{point.scaler.name}, {point.scaler.setting} {point.value:g}": point
        for point in (ours, rival)
    }
    draw_timelines(
        plots / f"{pattern.name}.png",
        pattern,
        {
            name: play(plays[0], point.scaler, point.value, pattern.maximum, 0)
            for name, point in names.items()
        },
    )


def main() -> int:
    """Print all tables and draw the plots of the first speed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="small patterns, one seed, one speed")
    parser.add_argument("--patterns", nargs="+", default=None)
    parser.add_argument("--speeds", nargs="+", type=float, default=None, help="of a worker")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="for jobs not seen before")
    parser.add_argument("--sweep", action="store_true", help="print every setting")
    parser.add_argument("--plots", type=Path, default=None, help="directory for PNGs")
    given = parser.parse_args()
    print_machine()
    chosen: tuple[Pattern, ...] = QUICK if given.quick else PATTERNS
    if given.patterns:
        chosen = tuple(pattern for pattern in chosen if pattern.name in given.patterns)
    speeds = given.speeds or ([40.0] if given.quick else [40.0, 8.0])
    if given.plots:
        given.plots.mkdir(parents=True, exist_ok=True)
    began, killed = time.perf_counter(), 0
    for number, speed in enumerate(speeds):
        plots = given.plots if number == 0 else None
        seeds = 1 if given.quick else given.seeds
        drawn = range(given.first_seed, given.first_seed + seeds)
        killed += compare(chosen, speed, drawn, given.sweep, plots)
    print(f"\n{time.perf_counter() - began:.0f} s; busy workers that ours killed: {killed}")
    return 1 if killed else 0


if __name__ == "__main__":
    sys.exit(main())

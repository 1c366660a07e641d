"""Jobs with a `ready_by` in a simulated cluster: late ones and cost, beside lanes alone.

    python -m benchmarks.simulate_deadlines [--quick] [--patterns steady bursts …] [--speed 40]
                                            [--seeds 1] [--first-seed 0]
                                            [--plots docs/scaling] [--out FILE]

The arrivals are those of `benchmarks.simulate_fleet`; two thirds of the jobs have a `ready_by`,
half an hour to eight hours after their submission, and never sooner than their file is long.
Both ways use the policy of production and play the very same jobs at several values of
`target_drain_seconds`. For each setting at which lanes alone make jobs late, the table has the
fewest late jobs with `ready_by` for at most 1 % more worker hours.

Then the same with a fleet that may be little larger than the average work needs.

Exit status 1 if on a pattern `ready_by` does not save 40 % of the late jobs, or a busy worker was
killed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.fleet.arrivals import HOUR, PATTERNS, QUICK, Job, Pattern, jobs_of
from benchmarks.fleet.comparison import work_hours
from benchmarks.fleet.deadlines import DEFAULT_DRAIN, DRAINS, Late, Pair, at_equal_cost, measured
from benchmarks.machine import describe_machine, print_machine

WANTED = 0.4  # of the late jobs saved
FEW = 1.2  # workers of a small fleet, by the average work
LEAST_HOURS = 4.0  # in which a small fleet should do what comes at once
Sweep = tuple[list[Late], list[Late]]


def swept(plays: Sequence[tuple[Job, ...]], maximum: int, speed: float) -> Sweep:
    """Lanes alone and with `ready_by`, at every setting."""
    both = [
        [
            measured(plays, heeds=heeds, drain=drain, maximum=maximum, speed=speed)
            for drain in DRAINS
        ]
        for heeds in (False, True)
    ]
    return both[0], both[1]


def few(plays: Sequence[tuple[Job, ...]]) -> int:
    """Return the size of a fleet that is little larger than the average work needs."""
    hours = max(LEAST_HOURS, plays[0][-1].submitted / HOUR)
    return math.ceil(FEW * work_hours(plays) / hours)


def print_late(name: str, one: Late) -> None:
    """One row."""
    way = "ready_by" if one.heeds else "lanes alone"
    print(
        f"{name:<13} {way:<12} {one.drain:>6g} {one.gpu_hours:>10.1f} {100 * one.late:>7.2f}"
        f" {one.late_p95:>9.0f} {one.rest_p50:>7.0f} {one.rest_p95:>7.0f} {one.moved_up:>9}",
        flush=True,
    )


def print_pair(name: str, pair: Pair) -> None:
    """What `ready_by` saves for the same hours."""
    lanes, ours = pair.lanes, pair.ours
    print(
        f"{name:<13} {lanes.drain:>6g} {lanes.gpu_hours:>10.1f} {100 * lanes.late:>7.2f}"
        f" {lanes.rest_p95:>7.0f}   {ours.drain:>6g} {ours.gpu_hours:>10.1f}"
        f" {100 * ours.late:>7.2f} {ours.rest_p95:>7.0f}   {100 * pair.fewer:>5.0f} %"
    )


_HEAD = (
    "pattern       way           drain  GPU-hours  late %  by, p95 s  others: p50, p95 s  moved up"
)


def main() -> int:
    """Print the tables, draw, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="small patterns, one seed")
    parser.add_argument("--patterns", nargs="+", default=None)
    parser.add_argument("--speed", type=float, default=40.0, help="of a worker")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0, help="for jobs not seen before")
    parser.add_argument("--plots", type=Path, default=None, help="directory for PNGs")
    parser.add_argument("--out", type=Path, default=None, help="JSON file of all figures")
    given = parser.parse_args()
    print_machine()
    chosen: Sequence[Pattern] = QUICK if given.quick else PATTERNS
    if given.patterns:
        chosen = [pattern for pattern in chosen if pattern.name in given.patterns]
    began, seeds = time.perf_counter(), 1 if given.quick else given.seeds
    sweeps: dict[str, Sweep] = {}
    small: dict[str, tuple[int, list[Late]]] = {}
    work: dict[str, float] = {}
    print(f"\n{_HEAD}")
    for pattern in chosen:
        drawn = range(given.first_seed, given.first_seed + min(seeds, pattern.most_seeds))
        plays = [jobs_of(pattern, seed, given.speed) for seed in drawn]
        work[pattern.name] = work_hours(plays)
        sweeps[pattern.name] = swept(plays, pattern.maximum, given.speed)
        for one in (*sweeps[pattern.name][0], *sweeps[pattern.name][1]):
            print_late(pattern.name, one)
        most = few(plays)
        small[pattern.name] = (
            most,
            [
                measured(plays, heeds=it, drain=DEFAULT_DRAIN, maximum=most, speed=given.speed)
                for it in (False, True)
            ],
        )
    print("\nFor the same hours: lanes alone, with ready_by, late jobs saved")
    print("pattern        drain  GPU-hours  late %  others    drain  GPU-hours  late %  others")
    pairs = {name: at_equal_cost(*both) for name, both in sweeps.items()}
    for name, found in pairs.items():
        for pair in found:
            print_pair(name, pair)
    print(f"\nA fleet of at most {FEW:g} times the average work\n{_HEAD}")
    for name, (most, both) in small.items():
        for one in both:
            print_late(f"{name} {most}", one)
    if given.plots:
        from benchmarks.fleet.deadline_plots import draw_late

        given.plots.mkdir(parents=True, exist_ok=True)
        draw_late(given.plots / "deadlines.png", sweeps, work)
    if given.out:
        given.out.write_text(
            json.dumps(_figures(given.speed, sweeps, small, work), indent=1) + "\n"
        )
    every = [one for both in sweeps.values() for points in both for one in points]
    killed = sum(one.killed for one in every)
    worst = min((pair.fewer for found in pairs.values() for pair in found), default=1.0)
    took = time.perf_counter() - began
    print(f"\n{took:.0f} s; saved at least {100 * worst:.0f} %; busy workers killed: {killed}")
    return 1 if killed or worst < WANTED else 0


def _figures(
    speed: float,
    sweeps: dict[str, Sweep],
    small: dict[str, tuple[int, list[Late]]],
    work: dict[str, float],
) -> dict[str, Any]:
    return {
        "machine": describe_machine(),
        "speed": speed,
        "bare_work_hours": work,
        "sweeps": {
            name: [asdict(one) for both in it for one in both] for name, it in sweeps.items()
        },
        "few_workers": {
            name: {"maximum": most, "points": [asdict(one) for one in both]}
            for name, (most, both) in small.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())

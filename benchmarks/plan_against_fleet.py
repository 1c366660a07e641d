"""What `scriptorium plan` says, beside the simulator of a fleet.

    python -m benchmarks.plan_against_fleet [--seeds 4] [--json FILE]

For each demand both play their own files: the plan those that it draws, the simulator others, of
the same lengths and rate. The simulator (`benchmarks/fleet/simulation.py`) goes event by event, has
KEDA and the horizontal autoscaler between the policy and the workers, chunks that take more or less
time than their length says, and a ReplicaSet that ends workers of its own choice; the plan has none
of these. Both have the fleet that the plan names. Exit status 1 if GPU-hours, or the wait that 95 %
of files do not exceed, differ by more than 15 %.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fleet.arrivals import NOISE, Job
from benchmarks.fleet.scalers import OURS, Backlog, Keda
from benchmarks.fleet.simulation import Outcome, Simulation
from benchmarks.machine import describe_machine, print_machine
from orchestrator.planning.demand import DAY, MIXED, Demand, FileLengths, submissions
from orchestrator.planning.plan import Workers, make_plan
from orchestrator.scaling.pools import WorkerPool

CALLS = (FileLengths(1.0, 60.0, 600.0),)
LECTURES = (FileLengths(1.0, 1_800.0, 5_400.0),)
MOST = 0.15  # relative difference


@dataclass(frozen=True, slots=True)
class Asked:
    """A demand, and the workers that are to do it."""

    name: str
    demand: Demand
    speed: float
    wait_seconds: float = 300.0


ASKED = (
    Asked("mixed, a day's rhythm", Demand(4_000.0, 2.7, MIXED), 40.0),
    Asked("mixed, slow workers", Demand(2_000.0, 2.7, MIXED), 10.0),
    Asked("mixed, fast workers", Demand(8_000.0, 2.0, MIXED), 120.0),
    Asked("calls, all day", Demand(3_000.0, 1.0, CALLS), 40.0),
    Asked("calls in office hours", Demand(3_000.0, 5.0, CALLS), 40.0),
    Asked("lectures", Demand(3_000.0, 3.0, LECTURES), 25.0),
    Asked("mixed, in a hurry", Demand(4_000.0, 2.7, MIXED), 40.0, 120.0),
    Asked("few files", Demand(300.0, 2.7, MIXED), 10.0),
)


def simulated(asked: Asked, least: int, most: int, seed: int) -> Outcome:
    """Play a day with a fleet of such limits."""
    dice = np.random.default_rng([seed, 99])
    jobs = [
        Job(
            one.at,
            one.chunks[0],
            tuple(
                one.chunks[0] / asked.speed * factor
                for factor in dice.lognormal(-NOISE * NOISE / 2, NOISE, len(one.chunks))
            ),
        )
        for one in submissions(asked.demand, 0.0, DAY, 1_000 + seed)
    ]
    pool = WorkerPool(name="gpu", minimum=least, maximum=most)
    return Simulation(jobs, Keda(Backlog(pool), most, OURS), random.Random(seed)).run()


def row(asked: Asked, seeds: int) -> dict[str, Any]:
    """Compare the plan and the simulator on one demand."""
    workers = Workers(asked.speed, 400.0, wait_seconds=asked.wait_seconds)
    fleet = make_plan(asked.demand, workers).scaled
    played = [simulated(asked, 0, fleet.gpus, seed) for seed in range(seeds)]
    hours = statistics.mean(one.gpu_hours for one in played)
    wait = float(np.percentile(np.concatenate([one.waits for one in played]), 95))
    return {
        "demand": asked.name,
        "gpus": fleet.gpus,
        "gpu_hours": [
            round(fleet.gpu_hours, 1),
            round(hours, 1),
            round(fleet.gpu_hours / hours, 3),
        ],
        "wait_95": [round(fleet.high_wait), round(wait), round(fleet.high_wait / wait, 3)],
    }


def main() -> None:
    """Print a row for each demand."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print_machine()
    print(f"\n{'demand':<24}{'GPUs':>5}   GPU-hours a day: plan, simulator   95 % wait in s: both")
    rows = []
    for asked in ASKED:
        rows.append(found := row(asked, given.seeds))
        hours, wait = found["gpu_hours"], found["wait_95"]
        print(
            f"{found['demand']:<24}{found['gpus']:>5}{hours[0]:>16,.1f}{hours[1]:>11,.1f}"
            f"{hours[2]:>8.2f}{wait[0]:>12}{wait[1]:>7}{wait[2]:>7.2f}",
            flush=True,
        )
    if given.json:
        given.json.write_text(
            json.dumps({"machine": describe_machine(), "rows": rows}, indent=1) + "\n"
        )
    worst = max(abs(it[key][2] - 1) for it in rows for key in ("gpu_hours", "wait_95"))
    print(f"\nthe largest difference: {worst:.1%}")
    sys.exit(worst > MOST)


if __name__ == "__main__":
    main()

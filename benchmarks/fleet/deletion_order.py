"""What it would bring if Kubernetes ended idle workers before busy ones (`pod-deletion-cost`).

    python -m benchmarks.fleet.deletion_order [--seeds 3]

The simulated fleet of `python -m benchmarks.simulate_fleet` under our policy, twice: the ReplicaSet
chooses as it does, by age, and with a cost for busy pods, which are then the last to go. A busy
worker that is chosen finishes its chunk, so no work is lost either way.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence

import numpy as np

from benchmarks.fleet.arrivals import PATTERNS, Job, jobs_of
from benchmarks.fleet.scalers import BACKLOG
from benchmarks.fleet.simulation import Simulation, Worker
from benchmarks.machine import print_machine

NAMES = ("steady", "bursts", "night")
SPEEDS = (40.0, 8.0)  # seconds of audio that a worker does in one


class IdleFirst(Simulation):
    """Busy workers are told to end only if there is no idle one."""

    def _staying(self, worker: Worker) -> tuple[float, float]:
        age, chance = super()._staying(worker)
        return age + (1000.0 if worker.chunk is not None else 0.0), chance


def played(
    kind: type[Simulation], plays: Sequence[tuple[Job, ...]], maximum: int
) -> tuple[float, float]:
    """Return the GPU-hours of an average play, and the p95 wait over all."""
    found = [
        kind(jobs, BACKLOG.keda(BACKLOG.default, maximum), random.Random(seed)).run()
        for seed, jobs in enumerate(plays)
    ]
    waits = np.concatenate([one.waits for one in found])
    return float(np.mean([one.gpu_hours for one in found])), float(np.percentile(waits, 95))


def main() -> None:
    """Play, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print_machine()
    print("pattern   speed  GPU-hours by age, idle first       p95 s by age, idle first")
    for pattern in PATTERNS:
        if pattern.name not in NAMES:
            continue
        for speed in SPEEDS:
            plays = [jobs_of(pattern, seed, speed) for seed in range(given.seeds)]
            before = played(Simulation, plays, pattern.maximum)
            after = played(IdleFirst, plays, pattern.maximum)
            saved = f"{1 - after[0] / before[0]:.1%} less"
            print(
                f"{pattern.name:<9} {speed:>5.0f} {before[0]:>10.1f} {after[0]:>8.1f} ({saved})"
                f" {before[1]:>11.0f} {after[1]:>6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""What an open job takes of Redis's memory, while all its chunks wait in their queues.

    python -m benchmarks.cluster.redis_memory [--jobs 2000]

Real Redis. The jobs are written as `submit`, `prepare` and `fan_out` leave them, with a message
for each chunk: the most that a job has there. The chart takes the figure for how many jobs its own
Redis lets in (`scriptorium.openJobs` in helm/scriptorium/templates/_redis.tpl).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.cluster.reconciler_pass import open_job, send
from benchmarks.fleet.slow_store import slow_cluster
from benchmarks.machine import describe_machine, print_machine
from orchestrator.cluster.connection import Cluster

CHUNKS = (1, 4, 20)
RESULTS = Path(__file__).parents[1] / "results" / "redis_memory.json"


def used(cluster: Cluster) -> int:
    """Return the bytes that Redis holds."""
    return int(cluster.redis.info("memory")["used_memory"])


def kib_of_a_job(jobs: int, chunks: int) -> dict[str, float]:
    """Return the KiB that each of so many jobs takes, by what it is for."""
    with slow_cluster(0.0) as (cluster, _, root):
        empty = used(cluster)
        for number in range(jobs):
            open_job(cluster, root, number, chunks)
        indexed = used(cluster)
        send(cluster, jobs, chunks)
        full = used(cluster)
    parts = {"index and receipts": indexed - empty, "messages": full - indexed}
    parts["all"] = full - empty
    return {part: round(size / jobs / 1024, 1) for part, size in parts.items()}


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    print_machine()
    found = {}
    for chunks in CHUNKS:
        found[chunks] = kib_of_a_job(given.jobs, chunks)
        print(f"{chunks:>3} chunks: KiB of an open job {found[chunks]}", flush=True)
    written = {"machine": describe_machine(), "jobs": given.jobs, "kib_by_chunks": found}
    given.json.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Whether a worker's memory grows: its resident MB after 20 chunks and after 200.

    python -m benchmarks.cluster.worker_memory [--chunks 200] [--seconds 15] [--bound 50]

One real GPU worker process of a local cluster transcribes one file with pico, cut into
that many chunks. Exit status 1 if it holds over `--bound` MB more at the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import print_machine, resident_mb
from config.settings import Settings
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from tasks.runs.submitted_options import job_options
from tests.inputs.speech import SAMPLE_RATE, recording, write_wav

TENANT = "default"
EARLY_CHUNKS = 20
POLL_SECONDS = 0.05


def main() -> int:
    """Print the memory after each twenty chunks, and the growth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15.0, help="of a chunk")
    parser.add_argument("--bound", type=float, default=50.0, help="MB")
    given = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory(prefix="scriptorium-benchmark-") as name:
        scratch = Path(name)
        seconds = given.chunks * given.seconds
        sound = recording(seconds, seed=0)[0][: int(seconds * SAMPLE_RATE)]
        held = follow_memory(scratch, write_wav(scratch / "long.wav", sound), given.seconds)
    for chunks, megabytes in held.items():
        print(f"after {chunks:>4} chunks {megabytes:>8.1f} MB resident")
    last = max(held)
    growth = held[last] - held[min(chunks for chunks in held if chunks >= EARLY_CHUNKS)]
    print(f"growth {growth:+.1f} MB, bound {given.bound:g} MB, {last} chunks")
    return 0 if growth <= given.bound and last >= given.chunks else 1


def follow_memory(scratch: Path, file: Path, chunk_seconds: float) -> dict[int, float]:
    """Resident MB of the one GPU worker, by the number of chunks it has done."""
    options = job_options(
        {
            "model": "pico",
            "language": "en",
            "chunk_seconds": chunk_seconds,
            "aligner": "cross_attention",  # the growth of one kind of model at a time
        }
    )
    held: dict[int, float] = {}
    with LocalCluster(Settings(home=scratch / "home"), workers=1, adopt=False) as cluster:
        connection = cluster.services
        job = submit(connection, upload(connection, file, TENANT), options, tenant=TENANT)
        pids = set()
        while not job.status.final:
            time.sleep(POLL_SECONDS)
            job = connection.job(TENANT, job.id)
            pid = next(
                (pid for name, pid in cluster.supervisor.children().items() if "gpu" in name), None
            )
            if pid is None or job.chunks.done // EARLY_CHUNKS * EARLY_CHUNKS in {0, *held}:
                continue
            pids.add(pid)
            held[job.chunks.done // EARLY_CHUNKS * EARLY_CHUNKS] = resident_mb(pid)
    if len(pids) != 1 or job.status != "completed":
        raise RuntimeError(f"The job is {job.status} after {len(pids)} worker processes.")
    return held


if __name__ == "__main__":
    sys.exit(main())

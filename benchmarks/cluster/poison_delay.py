"""How long a chunk that kills its worker three times keeps other jobs waiting.

    python -m benchmarks.cluster.poison_delay [--rounds 3]

Two jobs share a cluster of two workers: first both healthy, then the first one with a
deadly chunk. The second job's time from submission to result is compared; it must not
grow by more than the time of one chunk. The rounds alternate.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import print_machine
from config.settings import Settings
from orchestrator.jobs.following import follow
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from tasks.runs.submitted_options import job_options
from tests.faults.deadly_chunk import SHOUT
from tests.inputs.speech import recording, write_wav

RATE = 16_000
CHUNK_SECONDS = 30.0
SPEED = 3  # times real time: one chunk takes ten seconds
TENANT = "default"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print_machine()
    delays = []
    with tempfile.TemporaryDirectory() as directory:
        for number in range(rounds):
            healthy = neighbour_seconds(Path(directory), number, deadly=False)
            poisoned = neighbour_seconds(Path(directory), number, deadly=True)
            delays.append(poisoned - healthy)
            print(
                f"round {number + 1}: beside a healthy job {healthy:5.1f} s, "
                f"beside a deadly chunk {poisoned:5.1f} s, delay {delays[-1]:+5.1f} s"
            )
    chunk = CHUNK_SECONDS / SPEED
    print(f"median delay {statistics.median(delays):+.1f} s; one chunk takes {chunk:.1f} s")


def neighbour_seconds(directory: Path, number: int, *, deadly: bool) -> float:
    """Seconds from submission to result of a job beside another one."""
    home = Path(tempfile.mkdtemp(dir=directory))
    plugins = ("tests.faults.deadly_chunk",)
    options = job_options(
        {"model": f"fake-{SPEED}x", "chunk_seconds": CHUNK_SECONDS, "language": "en"}
    )
    with LocalCluster(
        Settings(home=home, allowed_models="fake"), workers=2, plugins=plugins
    ) as cluster:

        def send(name: str, samples: np.ndarray) -> str:
            source = upload(cluster.services, write_wav(home / name, samples), TENANT)
            return submit(cluster.services, source, options, tenant=TENANT).id

        first = recording(89, seed=2 * number)[0][: 89 * RATE].copy()
        if deadly:
            first[35 * RATE : 50 * RATE] *= SHOUT
        send("first.wav", np.clip(first, -1, 1))
        started = time.monotonic()
        second = send("second.wav", recording(119, seed=2 * number + 1)[0][: 119 * RATE])
        for _ in follow(cluster.services, TENANT, [second]):
            pass
        return time.monotonic() - started


if __name__ == "__main__":
    main()

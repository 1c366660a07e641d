"""How long one pass of the reconciler takes over many jobs that have begun.

    python -m benchmarks.cluster.reconciler_pass [--jobs 10000] [--chunks 20]

Real Redis, a store on the disk; the jobs are written as `submit` and `prepare` leave them, with a
quarter of their chunks done. A pass looks at every open run, works out what is needed next,
measures the load and decides how many workers each pool should have.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from itertools import pairwise, starmap
from pathlib import Path

from pydantic import SecretStr

from benchmarks.machine import print_machine, resident_mb
from config.settings import Settings
from gpu_worker.pcm import Span
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.local.redis_server import RedisServer
from orchestrator.reconciler import Reconciler
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Plan, Source
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state.receipts import Receipt

CHUNK_SAMPLES = 300 * 16_000
PASSES = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--chunks", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        (home / "store").mkdir()
        server = RedisServer(home)
        server.start()
        try:
            connection = open_cluster(
                Settings(
                    redis_url=SecretStr(server.url),
                    store_url=(home / "store").as_uri(),
                    reconcile_grace_seconds=3600.0,  # nothing is issued again here
                )
            )
            for number in range(arguments.jobs):
                open_job(connection, f"job-{number}", arguments.chunks)
            connection.jobs.restored()
            print_machine()
            measure(connection, arguments.jobs)
        finally:
            server.stop()


def open_job(connection: Cluster, job: str, chunks: int) -> None:
    """A job of which a quarter is transcribed."""
    manifest = Manifest(
        tenant="default",
        job=job,
        created_at=0.0,
        source=Source(name="talk.wav", url="s3://bucket/talk.wav"),
        options=JobOptions(model="large-v3", language="en"),
    )
    spans = tuple(pairwise(range(0, (chunks + 1) * CHUNK_SAMPLES, CHUNK_SAMPLES)))
    plan = Plan(audio=job, seconds=chunks * 300.0, chunks=tuple(starmap(Span, spans)))
    store = connection.store
    store.put(keys.manifest("default", job), encode(manifest.model_dump(mode="json")))
    store.put(keys.plan("default", job), encode(plan.model_dump(mode="json")))
    run = Run("default", job, 1)
    connection.jobs.add(manifest, run)
    done = [run.unit(Stage.PREPARE)]
    done += [run.unit(Stage.TRANSCRIBE, index) for index in range(chunks // 4)]
    for unit in done:
        connection.ledger.record(unit, Receipt("computed", seconds=3.0, audio_seconds=300.0))


def measure(connection: Cluster, jobs: int) -> None:
    """The first pass reads every record; the others find them in memory."""
    reconciler = Reconciler(connection, adopt=False)
    seconds = []
    for _ in range(1 + PASSES):
        began = time.perf_counter()
        reconciler.reconcile()
        seconds.append(time.perf_counter() - began)
    print(f"first pass over {jobs:,} jobs {seconds[0]:.2f} s, it reads every record")
    print(f"later passes, median of {PASSES}: {statistics.median(seconds[1:]):.2f} s")
    print(f"resident memory {resident_mb(os.getpid()):.0f} MB")


if __name__ == "__main__":
    main()

"""How long one pass of the reconciler takes over many jobs that have begun.

    python -m benchmarks.cluster.reconciler_pass [--jobs 50000] [--chunks 20] [--milliseconds 15]

Real Redis, and a store on the disk that takes that many milliseconds longer for each request; the
jobs are written as `submit`, `prepare` and `fan_out` leave them: every chunk waits as a message in
its queue, as in a long backlog. A pass works out what is needed next, looks for what was lost,
measures the load and decides how many workers each pool should have. Nothing is lost, so nothing
may be issued again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any

from benchmarks.fleet.slow_store import SlowStore, slow_cluster, write
from benchmarks.machine import describe_machine, print_machine, resident_mb
from gpu_worker.pcm import Span
from orchestrator.cluster.connection import Cluster
from orchestrator.reconciler import Reconciler
from tasks.artifacts import encode
from tasks.broker import SENT_AT
from tasks.fair_queue import message_of
from tasks.runs import keys
from tasks.runs.canvas import chain_of
from tasks.runs.manifest import Manifest, Plan, Source
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane, Stage
from tasks.runs.units import Run, Unit
from tasks.state.receipts import Receipt

CHUNK_SAMPLES = 300 * 16_000
TENANT = "default"
SENT_SECONDS = 3600.0  # how long ago the messages were sent
RESULTS = Path(__file__).parents[1] / "results" / "reconciler_pass.json"


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--chunks", type=int, default=20)
    parser.add_argument("--milliseconds", type=float, default=15.0)
    parser.add_argument("--passes", type=int, default=60)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    print_machine()
    with slow_cluster(given.milliseconds) as (cluster, store, root):
        for number in range(given.jobs):
            open_job(cluster, root, number, given.chunks)
        send(cluster, given.jobs, given.chunks)
        cluster.jobs.restored()
        found = measure(cluster, store, given.passes)
        found["redis_mb"] = round(cluster.redis.info("memory")["used_memory"] / 1e6)
    for what, value in found.items():
        print(f"{what:<28} {value}")
    sizes = {name: getattr(given, name) for name in ("jobs", "chunks", "milliseconds")}
    written = {"machine": describe_machine()} | sizes | found
    given.json.write_text(json.dumps(written, indent=2) + "\n")


def run_of(number: int) -> Run:
    """The run of the job with that number."""
    return Run(TENANT, f"{number:011x}{number:012x}", 1)


def open_job(cluster: Cluster, root: Path, number: int, chunks: int) -> None:
    """A job that is prepared."""
    run = run_of(number)
    manifest = Manifest(
        tenant=TENANT,
        job=run.job,
        created_at=float(number),
        source=Source(name="talk.wav", url="s3://bucket/talk.wav"),
        options=JobOptions(model="large-v3", language="en", aligner="cross_attention"),
    )
    spans = tuple(pairwise(range(0, (chunks + 1) * CHUNK_SAMPLES, CHUNK_SAMPLES)))
    audio = f"{number:064x}"
    plan = Plan(audio=audio, seconds=chunks * 300.0, chunks=tuple(starmap(Span, spans)))
    write(root, keys.manifest(TENANT, run.job), encode(manifest.model_dump(mode="json")))
    write(root, keys.plan(TENANT, run.job), encode(plan.model_dump(mode="json")))
    write(root, keys.open_run(run), b"")
    cluster.jobs.add(manifest, run)
    done = Receipt("computed", seconds=3.0, audio_seconds=300.0)
    cluster.ledger.record(run.unit(Stage.PREPARE), done)


def send(cluster: Cluster, jobs: int, chunks: int) -> None:
    """Put a message for every chunk into its queue, each made like a sent one."""
    waiting = f"{Stage.TRANSCRIBE.queue(Lane.BULK)}:of:{TENANT}"  # as in tasks/fair_queue.py
    chain_of(cluster.celery, (run_of(0).unit(Stage.TRANSCRIBE),), Lane.BULK).apply_async(
        ignore_result=True
    )
    item: Any = cluster.redis.lindex(waiting, 0)
    cluster.redis.delete(waiting)
    sent_at = time.time() - SENT_SECONDS
    pipe = cluster.redis.pipeline(transaction=False)
    for number, message in enumerate(messages(message_of(item), jobs, chunks, sent_at)):
        pipe.lpush(waiting, f"300.000 {message}")
        if number % 5000 == 0:
            pipe.execute()
    pipe.execute()


def messages(sent: bytes, jobs: int, chunks: int, sent_at: float) -> Iterator[str]:
    """Copies of a message, for every chunk of every job."""
    envelope = json.loads(sent)
    envelope["headers"][SENT_AT] = sent_at
    arguments = json.loads(b64decode(envelope["body"]))
    for number in range(jobs):
        for index in range(chunks):
            arguments[1] |= {"job": run_of(number).job, "index": index}
            envelope["body"] = b64encode(json.dumps(arguments).encode()).decode()
            yield json.dumps(envelope)


def measure(cluster: Cluster, store: SlowStore, passes: int) -> dict[str, Any]:
    """Let the loop run; its first passes read records, later ones find them in memory."""
    reconciler, stop = Reconciler(cluster, adopt=False), threading.Event()
    before = resident_mb(os.getpid())
    seconds: list[float] = []
    requests: list[int] = []
    reissued: list[Unit] = []
    reconcile = reconciler.reconcile

    def timed() -> tuple[Unit, ...]:
        asked, start = store.requests.total(), time.monotonic()
        issued = reconcile()
        seconds.append(time.monotonic() - start)
        requests.append(store.requests.total() - asked)
        reissued.extend(issued)
        held = resident_mb(os.getpid())
        print(f"{seconds[-1]:6.2f} s {requests[-1]:6} requests {held:6.0f} MB", flush=True)
        if len(seconds) == passes:
            stop.set()
        return issued

    reconciler.reconcile = timed  # type: ignore[method-assign]
    reconciler.run(stop)
    return {
        "passes": len(seconds),
        "longest_pass_seconds": round(max(seconds), 2),
        "median_pass_seconds": round(statistics.median(seconds), 2),
        "last_pass_seconds": round(seconds[-1], 2),
        "most_requests_of_a_pass": max(requests),
        "requests": sum(requests),
        "resident_mb_before": round(before),
        "resident_mb_after": round(resident_mb(os.getpid())),
        "reissued": len(reissued),
    }


if __name__ == "__main__":
    main()

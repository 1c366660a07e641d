"""What a wiped Redis costs: seconds until the open runs are issued again, and all jobs are listed.

    python -m benchmarks.fleet.wiped_redis [--open 2000] [--ended 100000] [--milliseconds 15]

Real Redis, empty; a store on the disk that takes that many milliseconds longer for each request,
with jobs as `submit`, `prepare` and `assemble` leave them. The reconciler's own loop runs with all
its duties. No worker runs, so every run that is issued again is a message in a queue.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from benchmarks.fleet.slow_store import SlowStore, slowed, write
from benchmarks.machine import describe_machine, print_machine
from config.settings import Settings
from gpu_worker.pcm import Span
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.ended_jobs import ENDED
from orchestrator.local.redis_server import RedisServer
from orchestrator.reconciler import Reconciler
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Plan, Source
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tasks.runs.units import Run

CHUNK_SAMPLES = 300 * 16_000
TENANT = "default"
FIRST_AT = 1_790_000_000.0  # seconds since 1970, of the first job
RESULTS = Path(__file__).parents[1] / "results" / "wiped_redis.json"


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=2000)
    parser.add_argument("--ended", type=int, default=100_000)
    parser.add_argument("--chunks", type=int, default=20)
    parser.add_argument("--milliseconds", type=float, default=15.0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))  # warnings
    print_machine()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        root = home / "store"
        root.mkdir()
        for number in range(given.ended + given.open):
            write_job(root, number, given.chunks, is_open=number >= given.ended)
        print(f"{given.open:,} open and {given.ended:,} ended jobs are in the store", flush=True)
        server = RedisServer(home)
        server.start()
        try:
            found = measure(server.url, root, given.milliseconds / 1000, given.open)
        finally:
            server.stop()
        for what, value in found.items():
            print(f"{what:<32} {value}")
        sizes = {name: getattr(given, name) for name in ("open", "ended", "chunks", "milliseconds")}
        written = {"machine": describe_machine()} | sizes | found
        given.json.write_text(json.dumps(written, indent=2) + "\n")
        print("written; now the store is removed", flush=True)


def write_job(root: Path, number: int, chunks: int, *, is_open: bool) -> None:
    """Write one job; an open one is prepared, and none of its chunks is transcribed."""
    created_at = FIRST_AT + number
    job = f"{int(created_at * 1000):011x}{number:012x}"
    manifest = Manifest(
        tenant=TENANT,
        job=job,
        created_at=created_at,
        source=Source(name="talk.wav", url="s3://bucket/talk.wav"),
        options=JobOptions(model="large-v3", language="en", aligner="cross_attention"),
    )
    spans = tuple(pairwise(range(0, (chunks + 1) * CHUNK_SAMPLES, CHUNK_SAMPLES)))
    audio = f"{number:064x}"
    plan = Plan(audio=audio, seconds=chunks * 300.0, chunks=tuple(starmap(Span, spans)))
    run = Run(TENANT, job, 1)
    write(root, keys.manifest(TENANT, job), encode(manifest.model_dump(mode="json")))
    write(root, keys.plan(TENANT, job), encode(plan.model_dump(mode="json")))
    write(root, keys.job(TENANT, job, "uses/") + audio, b"")
    write(root, keys.uses(TENANT, audio) + job, b"")
    write(root, keys.pcm(TENANT, audio), b"")
    if is_open:
        write(root, keys.open_run(run), b"")
    else:
        result = result_record(transcript={"segments": [], "language": "en"})
        write(root, keys.of_run(run, "timings.json"), b"{}")
        write(root, keys.of_run(run, keys.RESULT), encode(result))


def measure(redis_url: str, root: Path, seconds: float, open_jobs: int) -> dict[str, Any]:
    """Run the reconciler on an empty Redis until every job is in the index again."""
    settings = Settings(redis_url=SecretStr(redis_url), store_url=root.as_uri())
    store = SlowStore(root, seconds)
    cluster: Cluster = slowed(open_cluster(settings), store)
    passes: list[float] = []
    reconciler, stop = Reconciler(cluster), threading.Event()
    reconcile = reconciler.reconcile

    def timed() -> Any:
        began = time.monotonic()
        try:
            return reconcile()
        finally:
            passes.append(time.monotonic() - began)

    reconciler.reconcile = timed  # type: ignore[method-assign]
    thread = threading.Thread(target=reconciler.run, args=(stop,))
    began = time.monotonic()
    thread.start()
    first = last = measured = None
    while cluster.jobs.is_wiped() or cluster.jobs.lacks_ended():
        waiting = sum(cluster.queues.lengths().values())
        now = round(time.monotonic() - began, 2)
        first = first or (now if waiting else None)
        last = last or (now if waiting >= open_jobs else None)
        measured = measured or (None if cluster.jobs.is_wiped() else now)
        time.sleep(0.05)
    complete = round(time.monotonic() - began, 2)
    time.sleep(12.0)  # a few more passes, over all open runs
    stop.set()
    thread.join()
    listed = cluster.redis.zcard(f"scriptorium:jobs:{TENANT}") + len(list(store.list(ENDED)))
    waiting = sum(cluster.queues.lengths().values())
    cluster.close()
    return {
        "first_issued_seconds": first,
        "last_issued_seconds": last,
        "load_measured_again_seconds": measured,
        "index_complete_seconds": complete,
        "jobs_listed": listed,
        "messages": waiting,
        "passes": len(passes),
        "longest_pass_seconds": round(max(passes), 2),
        "requests": dict(store.requests),
    }


if __name__ == "__main__":
    main()

"""What Redis holds of a million jobs that have ended and 10,000 open ones, and how quick pages are.

    python -m benchmarks.cluster.million_jobs [--ended 1000000] [--open 10000] [--milliseconds 15]

Real Redis and API, and a store on the disk that takes that many milliseconds longer for each
request. A thirtieth of the ended jobs, as of the last day of a month, is put into Redis as a job's
life does it; of the others there are their names in the store's index. Pages are asked for by
HTTP, at the newest jobs, in the middle, where Redis has no details, and by status.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from benchmarks.fleet.slow_store import slow_cluster, write
from benchmarks.machine import describe_machine, print_machine
from gpu_worker.pcm import Span
from orchestrator.api.application import make_application
from orchestrator.api.listing import cursor_of
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.ended_jobs import ended_key
from orchestrator.cluster.job import Status, Summary
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Plan, Source
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state.receipts import Receipt, kept_of

TENANT = "default"
FIRST = 1_700_000_000.0  # seconds since 1970, when the first job was made
APART = 6.0  # seconds between two jobs
BAD = 50  # one job of so many failed
CHUNKS = 4
ASKED = 20  # times for each page
PAGE = 50
RESULTS = Path(__file__).parents[1] / "results" / "million_jobs.json"
ERROR = {"type": "audio", "code": "unreadable_audio", "message": "It cannot be read."}


def run_of(number: int) -> Run:
    """Return the run of the job with that number, whose id begins with its time."""
    created = round((FIRST + APART * number) * 1000)
    return Run(TENANT, f"{created:011x}{number:012x}", 1)


def manifest_of(number: int) -> Manifest:
    """Return the record of a usual job."""
    return Manifest(
        tenant=TENANT,
        job=run_of(number).job,
        created_at=FIRST + APART * number,
        source=Source(name="talk.wav", artifact=keys.source(TENANT, f"{number:064x}")),
        options=JobOptions(model="large-v3", language="en"),
        metadata={"customer": f"{number % 97}"},
    )


def write_records(root: Path, number: int, *, ended: bool) -> None:
    """Write what the store has of a job."""
    run = run_of(number)
    manifest, spans = manifest_of(number), tuple(Span(at, at + 1) for at in range(CHUNKS))
    plan = Plan(audio=f"{number:064x}", seconds=CHUNKS * 50.0, chunks=spans)
    write(root, keys.manifest(TENANT, run.job), encode(manifest.model_dump(mode="json")))
    write(root, keys.plan(TENANT, run.job), encode(plan.model_dump(mode="json")))
    if ended:
        error = ERROR if is_bad(number) else None
        result = result_record(error=error) if error else result_record(transcript={})
        write(root, keys.of_run(run, keys.RESULT), encode(result))
    else:
        write(root, keys.open_run(run), b"")


def is_bad(number: int) -> bool:
    """Tell whether the job failed."""
    return number % BAD == 0


def live(cluster: Cluster, number: int, *, ends: bool) -> None:
    """Index a job as its life does."""
    run = run_of(number)
    cluster.jobs.add(manifest_of(number), run)
    done = Receipt("computed", seconds=0.7123, audio_seconds=50.0, worker="gpu0@machine-17")
    cluster.ledger.record(run.unit(Stage.PREPARE), done)
    if ends:
        for stage in (Stage.TRANSCRIBE, Stage.ALIGN):
            for index in range(CHUNKS):
                cluster.ledger.record(run.unit(stage, index), done)
        cluster.jobs.close(run, Summary(error=ERROR if is_bad(number) else None, language="en"))


def index(root: Path, numbers: range) -> None:
    """Write the names of ended jobs, as the store has them."""
    for number in numbers:
        place = FIRST + APART * number, run_of(number).job
        status = Status.FAILED if is_bad(number) else Status.COMPLETED
        write(root, ended_key(TENANT, place, status), b"")


def lasting_keys(cluster: Cluster) -> dict[str, int]:
    """Count the keys that never expire, by kind; a job that is open needs its own."""
    found: Counter[str] = Counter()
    names: Iterable[bytes] = cluster.redis.scan_iter(count=10_000)
    for name in names:
        if cluster.redis.ttl(name) == -1:
            kind = name.decode().split("/")[0].removesuffix(TENANT)
            found[kind] += 1
    return dict(found)


def bytes_of_details(cluster: Cluster, number: int) -> int:
    """Return the bytes in Redis of an ended job that expire after a day."""
    run = run_of(number)
    named = (f"scriptorium:job:{TENANT}/{run.job}", *kept_of(run))
    return sum(int(cluster.redis.memory_usage(key, samples=0) or 0) for key in named)


def page_times(http: TestClient, queries: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
    """Ask for each page several times; milliseconds: the first time, the median, the longest."""
    found: dict[str, list[float]] = {}
    for name, query in queries.items():
        taken = []
        for _ in range(ASKED):
            began = time.perf_counter()
            reply = http.get("/v1/jobs", params=query | {"limit": PAGE})
            taken.append((time.perf_counter() - began) * 1000)
            if reply.status_code != 200 or len(reply.json()["data"]) != PAGE:
                raise RuntimeError(f"{name}: {reply.status_code}, {reply.text[:200]}")
        rows = taken[0], statistics.median(taken), max(taken[1:])
        found[name] = [round(milliseconds, 1) for milliseconds in rows]
    return found


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ended", type=int, default=1_000_000)
    parser.add_argument("--open", type=int, default=10_000)
    parser.add_argument("--milliseconds", type=float, default=15.0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    print_machine()
    with slow_cluster(given.milliseconds, allow_anonymous=True) as (cluster, _, root):
        found = measured(cluster, root, given.ended, given.open)
    for what, value in found.items():
        print(f"{what:<34} {value}")
    sizes = {name: getattr(given, name) for name in ("ended", "open", "milliseconds")}
    written = {"machine": describe_machine()} | sizes | found
    given.json.write_text(json.dumps(written, indent=2) + "\n")


def measured(cluster: Cluster, root: Path, ended: int, opened: int) -> dict[str, Any]:
    """Fill the cluster, and measure it."""
    lately = ended - ended // 30
    index(root, range(ended))
    for number in range(lately, ended):
        live(cluster, number, ends=True)
    for number in range(ended, ended + opened):
        write_records(root, number, ended=False)
        live(cluster, number, ends=False)
    newest, middle = range(ended - 4 * PAGE, ended), range(ended // 2 - 4 * PAGE, ended // 2)
    failed = range(ended // 3 - 2 * PAGE * BAD, ended // 3)
    for number in {*newest, *middle, *(number for number in failed if is_bad(number))}:
        write_records(root, number, ended=True)
    cluster.jobs.restored()
    details = bytes_of_details(cluster, ended - 1)
    used = int(cluster.redis.info("memory")["used_memory"])

    def behind(number: int) -> dict[str, str | None]:
        return {"cursor": cursor_of((FIRST + APART * number, run_of(number).job))}

    with TestClient(make_application(cluster), base_url="http://localhost") as http:
        pages = page_times(
            http,
            {
                "newest": {},
                "ended today": behind(ended),
                "in the middle": behind(ended // 2),
                "queued or processing": {"status": "processing"},
                "completed": behind(ended) | {"status": "completed"},
                "failed": behind(ended // 3) | {"status": "failed"},
            },
        )
    return {
        "redis_mb": round(used / 1e6, 1),
        "bytes_of_an_ended_job_for_a_day": details,
        "redis_mb_if_they_never_expired": round((used + details * lately) / 1e6),
        "keys_that_never_expire": lasting_keys(cluster),
        "page_ms_first_median_longest": pages,
    }


if __name__ == "__main__":
    main()

"""How long `fan_out` takes for a job of very many chunks, on a store that answers slowly.

    python -m benchmarks.cluster.fan_out_time [--chunks 28080] [--milliseconds 15]

Real Redis, and a store on the disk that takes that many milliseconds longer for each request. It
looks which artifacts exist, and writes the messages, as the task does.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import time
from dataclasses import replace
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.fleet.slow_store import SlowStore, write
from benchmarks.machine import describe_machine, print_machine
from config.settings import Settings
from gpu_worker.pcm import Span
from orchestrator.local.programs import settings_environment
from orchestrator.local.redis_server import RedisServer
from tasks.artifacts import encode
from tasks.execution.workplace import workplace
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Plan, Source
from tasks.runs.options import JobOptions
from tasks.runs.records import Records
from tasks.runs.stages import Stage
from tasks.runs.units import Run

RUN = Run("default", f"{1:011x}{1:012x}", 1)
CHUNK_SAMPLES = 5 * 16_000
RESULTS = Path(__file__).parents[1] / "results" / "fan_out_time.json"


def write_records(root: Path, chunks: int) -> None:
    """Write a job of so many chunks of five seconds, with words and speakers."""
    manifest = Manifest(
        tenant=RUN.tenant,
        job=RUN.job,
        created_at=time.time(),
        source=Source(name="talk.wav", artifact=keys.source(RUN.tenant, f"{1:064x}")),
        options=JobOptions(
            model="fake", language="en", aligner="ctc", diarize=True, shard_seconds=8.0
        ),
    )
    spans = starmap(Span, pairwise(range(0, (chunks + 1) * CHUNK_SAMPLES, CHUNK_SAMPLES)))
    plan = Plan(audio=f"{1:064x}", seconds=5.0 * chunks, chunks=tuple(spans))
    write(root, keys.manifest(RUN.tenant, RUN.job), encode(manifest.model_dump(mode="json")))
    write(root, keys.plan(RUN.tenant, RUN.job), encode(plan.model_dump(mode="json")))


def measure(root: Path, milliseconds: float) -> dict[str, Any]:
    """Do what the task does, and time its two parts."""
    from tasks.stages import fan_out

    store = SlowStore(root, milliseconds / 1000)
    place = replace(workplace(), store=store, records=Records(store))
    started = time.monotonic()
    canvas = fan_out._canvas(place, RUN.unit(Stage.FAN_OUT))
    looked = time.monotonic()
    canvas.apply_async()
    sent = time.monotonic()
    used: Any = place.redis.info("memory")["used_memory"]
    return {
        "looking_seconds": round(looked - started, 1),
        "sending_seconds": round(sent - looked, 1),
        "requests": dict(store.requests),
        "redis_mb": round(used / 1e6),
        "deadline_seconds": place.settings.deadline_floor_seconds,
    }


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chunks", type=int, default=28_080)
    parser.add_argument("--milliseconds", type=float, default=15.0)
    parser.add_argument("--label", default="now", help="under which the file keeps the figures")
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory(prefix="scriptorium-fan-out-") as name:
        root = Path(name) / "store"
        root.mkdir()
        write_records(root, given.chunks)
        server = RedisServer(Path(name))
        server.start()
        values = Settings(redis_url=SecretStr(server.url), store_url=root.as_uri())
        os.environ.update(settings_environment(values, os.environ))  # this process is a worker
        try:
            found: dict[str, Any] = {"chunks": given.chunks, "milliseconds": given.milliseconds}
            found |= measure(root, given.milliseconds)
            gc.collect()  # results that are dropped while Python ends complain
        finally:
            server.stop()
    print(json.dumps(found, indent=1))
    written = json.loads(given.json.read_text()) if given.json.exists() else {}
    written |= {"machine": describe_machine(), given.label: found}
    given.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

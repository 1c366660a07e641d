"""Start one GPU worker for one waiting unit, and print when each step was over, as JSON.

A program of its own: it runs with the version of the product that PYTHONPATH names, and knows no
other module of the benchmarks.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.models.allowed import listed_name
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.process import Child
from orchestrator.local.redis_server import RedisServer
from orchestrator.local.workers import WorkerSpec, worker_program
from orchestrator.reconciler import Reconciler
from tasks.runs.stages import Pool, queues
from tasks.runs.submitted_options import job_options

TENANT = "default"
PATIENCE_SECONDS = 120.0


def main() -> None:
    """Take a JSON object: recording, model, compute type, settings, and what comes first."""
    given = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="scriptorium-start-") as name:
        scratch = Path(name)
        server = RedisServer(scratch)
        server.start()
        try:
            settings = Settings(
                home=scratch,
                redis_url=SecretStr(server.url),
                store_url=(scratch / "store").as_uri(),
                allowed_models=listed_name(given["model"]),
                **given["settings"],
            )
            with closing(open_cluster(settings)) as cluster:
                print(json.dumps(measure(cluster, given, scratch)))
        finally:
            server.stop()


def measure(cluster: Cluster, given: dict[str, Any], scratch: Path) -> dict[str, float]:
    """Seconds from the worker's start to each step's end, processor seconds, and memory at last."""
    stop = threading.Event()
    reconciler = threading.Thread(target=Reconciler(cluster, adopt=False).run, args=(stop,))
    reconciler.start()
    children: list[Child] = []

    def begin(spec: WorkerSpec, **more: str) -> Child:
        program = worker_program(spec, cluster.settings, scratch)
        environment = {**program.environment, **more}
        child = Child(program.name, program.command, program.log, environment)
        children.append(child)
        return child

    def send() -> None:
        options = job_options(
            {
                "model": given["model"],
                "compute_type": given["compute_type"],
                "language": "en",
                "beam_size": 1,
                "aligner": "cross_attention",
            }
        )
        submit(cluster, upload(cluster, Path(given["audio"]), TENANT), options, tenant=TENANT)

    try:
        begin(WorkerSpec("cpu@start", Pool.CPU))
        marks = scratch / "marks"
        marks.touch()
        if not given["idles_first"]:
            send()
            wait_until(lambda: any(cluster.queues.lengths()[it] for it in queues(Pool.GPU)))
        started = time.time()
        spec = WorkerSpec(
            "gpu@start", Pool.GPU, threads=os.cpu_count() or 1, plugins=("start_marks",)
        )
        worker = begin(spec, START_MARKS_FILE=str(marks))
        if given["idles_first"]:
            wait_until(lambda: "model_prefetched" in worker.log_path.read_text())
            send()
        wait_until(lambda: '"text"' in marks.read_text())
        memory = peak_mb(worker.pid)
        found: dict[str, float] = {}
        for line in marks.read_text().splitlines():
            mark = json.loads(line)
            found.setdefault(mark["step"], round(mark["at"] - started, 3))
            found.setdefault(f"{mark['step']}_used", round(mark["used"], 3))
        unit = round(found["text"] - found["begun"], 3)
        return found | {"first_unit": unit, "peak_memory_mb": memory}
    finally:
        for child in children:
            child.kill()
        stop.set()
        reconciler.join()


def wait_until(happened: Callable[[], bool]) -> None:
    """Raises TimeoutError."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.02)


def peak_mb(pid: int) -> float:
    """The most memory that the process has held, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise ValueError("The kernel keeps no peak.")


if __name__ == "__main__":
    main()

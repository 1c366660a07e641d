"""A local cluster as a test sees it: submit, wait, break things, read what happened."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from config.settings import Settings
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.following import follow
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from orchestrator.local.process import Child
from orchestrator.local.workers import WorkerSpec, worker_program
from tasks.runs import keys
from tasks.runs.stages import Stage
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run

TENANT = "default"
PATIENCE_SECONDS = 180.0
# On a busy machine too nothing is issued again, for tests that count what was done.
PATIENT = {"lease_seconds": 60.0, "reconcile_grace_seconds": 60.0}


def quick_settings(home: Path, **changes: Any) -> Settings:
    """As in production, but faults are noticed in seconds."""
    quick: dict[str, Any] = {
        "home": home,
        "model": "pico",
        "allowed_models": "fake",
        "redis_url": None,
        "store_url": None,
        "lease_seconds": 4.0,
        "heartbeat_seconds": 1.0,
        "reconcile_seconds": 0.3,
        "reconcile_grace_seconds": 1.5,
        "audit_seconds": 5.0,
        "self_test": False,  # seconds of each worker's start; it has tests of its own
    }
    return Settings(**(quick | changes))


class ClusterUnderTest:
    """Everything it starts is gone when it ends."""

    def __init__(self, settings: Settings, workers: int | None, **options: Any) -> None:
        self.local = LocalCluster(settings, workers=workers, **options)
        self._is_started = False

    def __enter__(self) -> Self:
        """Start it; one that runs already can be entered again to be ended early."""
        if not self._is_started:
            self.local.__enter__()
            self._is_started = True
        return self

    def __exit__(self, *_: object) -> None:
        self.local.close()

    @property
    def connection(self) -> Cluster:
        return self.local.services

    def submit(self, path: Path, **options: Any) -> Job:
        """Words are not aligned unless asked for: that has tests of its own, and takes seconds."""
        options = {"aligner": "cross_attention", **options}
        source = upload(self.connection, path, TENANT)
        key = options.pop("idempotency_key", None)
        return submit(
            self.connection, source, job_options(options), tenant=TENANT, idempotency_key=key
        )

    def follow(self, *jobs: Job) -> Iterator[Job]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        for job in follow(self.connection, TENANT, [job.id for job in jobs]):
            assert time.monotonic() < deadline, f"{job.id} is still {job.status}"
            yield job

    def wait(self, job: Job) -> Job:
        *_, ended = self.follow(job)
        return ended

    def wait_until(self, happened: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.02)

    def result(self, job: Job) -> dict[str, Any]:
        return self.connection.result(TENANT, job.id)

    def result_bytes(self, job: Job, run: int = 1) -> bytes:
        unit = Run(TENANT, job.id, run).unit(Stage.ASSEMBLE)
        return self.connection.store.get(keys.of_run(unit.run, keys.RESULT))

    def words(self, job: Job) -> list[str]:
        return str(self.result(job)["transcript"]["text"]).split()

    def chunk_artifact(self, job: Job, index: int) -> dict[str, Any]:
        key = self.connection.records.key(Run(TENANT, job.id, 1).unit(Stage.TRANSCRIBE, index))
        data: dict[str, Any] = json.loads(self.connection.store.get(key))
        return data

    def gpu_worker_pids(self) -> list[int]:
        return [
            pid for name, pid in self.local.supervisor.children().items() if name.startswith("gpu")
        ]

    def kill_random_worker(self, dice: random.Random) -> str:
        """kill -9 of one worker's whole process group. Gives its name."""
        return self._kill(dice.choice(sorted(self.local.supervisor.children())))

    def kill_gpu_worker(self, dice: random.Random) -> str:
        """kill -9 of one of the workers with models."""
        names = sorted(self.local.supervisor.children())
        return self._kill(dice.choice([name for name in names if name.startswith("gpu")]))

    def _kill(self, name: str) -> str:
        os.killpg(self.local.supervisor.children()[name], signal.SIGKILL)
        return name

    def events(self, event: str, job: Job | None = None) -> list[dict[str, Any]]:
        """The workers' log lines of one kind, in the order of time."""
        found = worker_events(self.local.logs, event)
        return [line for line in found if job is None or line.get("job") == job.id]


@contextmanager
def outsider(cluster: ClusterUnderTest, spec: WorkerSpec, **environment: str) -> Iterator[Child]:
    """A worker that no supervisor looks after, as in a container."""
    program = worker_program(spec, cluster.connection.settings, cluster.local.logs)
    child = Child(
        program.name, program.command, program.log, {**program.environment, **environment}
    )
    try:
        yield child
    finally:
        child.kill()


def worker_events(logs: Path, event: str) -> list[dict[str, Any]]:
    """The workers' log lines of one kind, in the order of time.

    Without those of `fan_out`: it has no artifact, and to run it again does no harm.
    """
    found = [
        line
        for path in logs.glob("*pu*.log")
        for line in _json_lines(path)
        if line.get("event") == event and line.get("stage") != "fan_out"
    ]
    return sorted(found, key=lambda line: str(line["timestamp"]))


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:  # a line that a kill cut off
                continue

"""One real GPU worker: jobs of two seconds of speech go in, and how each has ended comes out."""

from __future__ import annotations

import json
import os
import signal
import time
import wave
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from config.settings import Settings
from gpu_worker.builtin import HELLO
from gpu_worker.pcm import SAMPLE_BYTES, Span
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.jobs.ids import job_id
from orchestrator.local.redis_server import RedisServer
from orchestrator.local.supervisor import Supervisor
from orchestrator.local.workers import WorkerSpec, pool_named, worker_program
from tasks.artifacts import ArtifactMissing, encode
from tasks.runs import keys
from tasks.runs.canvas import signature
from tasks.runs.json_artifacts import UnreadableRecord
from tasks.runs.manifest import Manifest, Plan, Source
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane, Pool, Stage
from tasks.runs.units import Run, Unit

TENANT, NAME = "default", "gpu@one"
PATIENCE_SECONDS = 600.0  # the shortest deadline of a unit
NAP_SECONDS = 0.01
HANG = "hang"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a job's unit has ended."""

    code: str  # of the failure's artifact, or HANG; empty: there is a transcript
    message: str  # of the failure
    options: dict[str, Any]
    waited_seconds: float  # since all earlier jobs had their answers


@dataclass(frozen=True, slots=True)
class _Job:
    unit: Unit
    audio: str
    options: dict[str, Any]


@contextmanager
def one_worker(directory: Path, under: Sequence[str] = ()) -> Iterator[OneWorker]:
    """Start Redis, a store and a worker, which a supervisor restarts if it dies.

    `under`: a command that the worker runs under.
    """
    (directory / "store").mkdir()
    redis = RedisServer(directory)
    with ExitStack() as stack:
        redis.start()
        stack.callback(redis.stop)
        settings = Settings(
            home=directory,
            work_dir=directory,
            redis_url=SecretStr(redis.url),
            store_url=(directory / "store").as_uri(),
            max_retries=0,  # what this worker cannot read now it never can
            deadline_floor_seconds=24 * 3600.0,  # OneWorker has a patience of its own
        )
        cluster = stack.enter_context(_open(settings))
        units = pool_named("gpu", settings).concurrency
        program = worker_program(WorkerSpec(NAME, Pool.GPU, concurrency=units), settings, directory)
        supervisor = Supervisor(cluster.leases)
        supervisor.start((replace(program, command=(*under, *program.command)),))
        stack.callback(supervisor.stop, 0.0)
        yield OneWorker(cluster, supervisor, program.log)


@contextmanager
def _open(settings: Settings) -> Iterator[Cluster]:
    cluster = open_cluster(settings)
    yield cluster
    cluster.close()


class OneWorker:
    """Jobs are begun in the order in which they are sent, and several are done at once."""

    def __init__(self, cluster: Cluster, supervisor: Supervisor, log: Path) -> None:
        self._cluster, self._supervisor, self._log = cluster, supervisor, log
        self._store = cluster.store
        self._jobs: deque[_Job] = deque()
        self._sent = 0
        self.pid = self._started()  # of the worker
        self.deaths = 0
        with wave.open(str(HELLO)) as file:
            self._pcm = file.readframes(file.getnframes())

    @property
    def in_flight(self) -> int:
        """The number of jobs without an answer."""
        return len(self._jobs)

    def send(self, options: dict[str, Any]) -> None:
        """Write a job with these options into the store, also bad ones, and send its unit."""
        run = Run(TENANT, job_id(), 1)
        self._sent += 1
        # A name of its own: with those of another job the options would find that one's artifact.
        audio = sha256(str(self._sent).encode()).hexdigest()
        span = Span(0, len(self._pcm) // SAMPLE_BYTES)
        manifest = Manifest(
            tenant=TENANT,
            job=run.job,
            created_at=round(time.time(), 3),
            source=Source(name=HELLO.name),
            options=JobOptions(),
        ).model_dump(mode="json")
        plan = Plan(audio=audio, seconds=span.seconds, chunks=(span,))
        # json's own form has NaN and lone surrogates, as another writer may.
        data = json.dumps(manifest | {"options": options}).encode()
        self._store.put(keys.manifest(TENANT, run.job), data)
        self._store.put(keys.plan(TENANT, run.job), encode(plan.model_dump(mode="json")))
        self._store.put(keys.pcm(TENANT, audio), self._pcm)
        with suppress(ValidationError):  # then the worker cannot read the manifest either
            detected = keys.language(TENANT, audio, JobOptions.of_artifact(options))
            self._store.put(detected, encode({"language": "en"}))
        job = _Job(run.unit(Stage.TRANSCRIBE), audio, options)
        self._jobs.append(job)
        self._send(job)

    def answer(self) -> Answer:
        """Wait for the end of the oldest job, and forget that job."""
        job, naps = self._jobs[0], 0
        # Counted in naps: while this process and the worker are stopped, no time goes by.
        while (told := self._told(job)) is None and naps * NAP_SECONDS < PATIENCE_SECONDS:
            self.look_after()
            time.sleep(NAP_SECONDS)
            naps += 1
        self._jobs.popleft()
        if told is None:
            told = HANG, f"no answer in {PATIENCE_SECONDS:.0f} s"
            os.kill(self.pid, signal.SIGKILL)
            self._begin_again()
        for folder in (keys.job(TENANT, job.unit.run.job), _made_of(job.audio)):
            for key in list(self._store.list(folder)):
                self._store.delete(key)
        return Answer(*told, job.options, naps * NAP_SECONDS)

    def look_after(self) -> None:
        """Count it if the worker has died, and send its jobs again."""
        if self._supervisor.children().get(NAME) == self.pid:
            return
        self.deaths += 1
        suspects = [repr(job.options)[:2000] for job in self._jobs]  # one of the first, as a rule
        log = self._log.read_text(errors="replace")[-2000:]
        print(json.dumps({"end": "death", "options": suspects, "log": log}), flush=True)
        self._begin_again()

    def _begin_again(self) -> None:
        # What waits is sent again, each job once: messages of ended jobs would find no records.
        self._cluster.redis.delete(Stage.TRANSCRIBE.queue(Lane.BULK))
        self.pid = self._started(instead_of=self.pid)
        for job in self._jobs:
            self._send(job)

    def _started(self, instead_of: int | None = None) -> int:
        while (pid := self._supervisor.children().get(NAME, instead_of)) in (None, instead_of):
            time.sleep(NAP_SECONDS)
        assert pid is not None
        return pid

    def _send(self, job: _Job) -> None:
        # Without a result: the artifact is the answer.
        signature(self._cluster.celery, job.unit, Lane.BULK).apply_async(ignore_result=True)

    def _told(self, job: _Job) -> tuple[str, str] | None:
        """Return the code and message of the unit's failure, empty if it has an artifact."""
        if any(self._store.list(f"{_made_of(job.audio)}{Stage.TRANSCRIBE.value}/")):
            return "", ""
        try:
            failure = json.loads(self._store.get(keys.failed(job.unit)))
        except ArtifactMissing:
            return None
        if UnreadableRecord.__name__ in failure["message"]:  # its code says only: tried in vain
            return UnreadableRecord.code, failure["message"]
        return failure["code"], failure["message"]


def _made_of(audio: str) -> str:
    return keys.made_of(TENANT, audio)[1]

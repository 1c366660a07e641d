"""What the control plane holds: the broker, the store and the jobs, by one set of settings."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery import Celery
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from config.settings import Settings
from gpu_worker.errors import PermanentError, RedisUnavailable
from gpu_worker.models.whisper import AUTO
from orchestrator.cluster.job import Job, Receipts, Summary, describe_job
from orchestrator.cluster.job_index import JobStore, newest_run
from orchestrator.cluster.outbox import Outbox
from orchestrator.cluster.queues import Queues, RedisQueues
from orchestrator.cluster.rabbitmq import AmqpQueues
from tasks.artifacts import ArtifactMissing, exists
from tasks.broker import make_app, redis_address
from tasks.redis_address import RedisAddress, check_not_cluster
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.services import Services, open_services

# Of 20,000 open jobs the manifest and the plan: the reconciler looks at them every few seconds.
REMEMBERED_RECORDS = 40_000


class UnknownJob(PermanentError):
    """There is no job with that id."""

    code = "unknown_job"
    hint = "`scriptorium list` shows the jobs."


class NotFinished(PermanentError):
    """The job has no result yet."""

    code = "not_finished"
    hint = "`scriptorium watch JOB` waits for it."


@dataclass(frozen=True, slots=True)
class Cluster(Services):
    """The control plane's side of a cluster."""

    celery: Celery
    jobs: JobStore
    outbox: Outbox
    queues: Queues

    def close(self) -> None:
        """Let the connections go."""
        self.celery.close()
        self.redis.close()

    def job(self, tenant: str, job: str) -> Job:
        """A job as it stands. Raises UnknownJob."""
        found = self.jobs.find(tenant, job) or self._restore(tenant, job)
        manifest, run, summary = found
        receipts = self.ledger.read(run)
        if summary is None and (Stage.ASSEMBLE, 0) in receipts:
            summary = self.settle(run)
        manifest = self.run_manifest(manifest, run, receipts, summary)
        plan = self.plan(tenant, job)
        return describe_job(manifest, run.number, receipts, plan, summary, time.time())

    def run_manifest(
        self, manifest: Manifest, run: Run, receipts: Receipts, summary: Summary | None = None
    ) -> Manifest:
        """The manifest with the models of the run, once a worker has chosen them."""
        if summary is None and (Stage.DETECT_LANGUAGE, 0) not in receipts:
            return manifest
        if summary is not None and manifest.options.model != AUTO:
            return manifest  # nothing else that was chosen is told of a job that has ended
        try:
            return self.records.resolved(run)
        except ArtifactMissing:  # the job is being deleted
            return manifest

    def result(self, tenant: str, job: str) -> dict[str, Any]:
        """The published result of the newest run. Raises UnknownJob or NotFinished."""
        run = Run(tenant, job, self.job(tenant, job).run)
        try:
            result: dict[str, Any] = json.loads(self.store.get(keys.of_run(run, keys.RESULT)))
        except ArtifactMissing as error:
            raise NotFinished(f"Job {job} has no result yet.") from error
        return result

    def timings(self, run: Run) -> dict[str, Any]:
        """How long each stage took; empty if nothing was computed."""
        try:
            found: dict[str, Any] = json.loads(self.store.get(keys.of_run(run, "timings.json")))
        except ArtifactMissing:
            return {}
        return found

    def plan(self, tenant: str, job: str) -> Plan | None:
        """The job's plan once it is written."""
        try:
            return self.records.plan(tenant, job)
        except ArtifactMissing:
            return None

    def settle(self, run: Run) -> Summary | None:
        """If the run has its result: index what it came to and take it off the open ones."""
        try:
            result = json.loads(self.store.get(keys.of_run(run, keys.RESULT)))
        except ArtifactMissing:
            return None
        summary = Summary.of_result(result)
        self._owe(run)  # first: if we die now the run is still open, and is settled again
        self.store.delete(keys.open_run(run))
        self.jobs.close(run, summary)
        return summary

    def _owe(self, run: Run) -> None:
        """Put into the outbox that the run has ended, if the job has a webhook or an output."""
        try:
            manifest = self.records.manifest(run.tenant, run.job)
        except ArtifactMissing:  # the job was deleted
            return
        if (manifest.output or manifest.webhook_url) and exists(self.store, keys.open_run(run)):
            self.outbox.add(run)

    def _restore(self, tenant: str, job: str) -> tuple[Manifest, Run, Summary | None]:
        """A job that Redis does not know but the store may."""
        self.records.forget(tenant, job)  # it may have been deleted by another process
        try:
            if exists(self.store, keys.tombstone(tenant, job)):
                raise UnknownJob(f"There is no job {job!r}.")
            manifest = self.records.manifest(tenant, job)
        except (ArtifactMissing, ValueError) as error:
            raise UnknownJob(f"There is no job {job!r}.") from error
        run = newest_run(self.store, tenant, job)
        self.jobs.add(manifest, run, is_open=False)
        return manifest, run, self.settle(run)


def open_cluster(settings: Settings) -> Cluster:
    """Open everything. Raises RedisUnavailable, StoreUnavailable or InvalidOption."""
    celery = make_app(settings, only_sends=True)
    services = open_services(settings, REMEMBERED_RECORDS)
    _check_redis(services.redis, redis_address(settings))
    return Cluster(
        **services.parts(),
        celery=celery,
        jobs=JobStore(services.redis),
        outbox=Outbox(services.store, services.redis),
        queues=AmqpQueues(celery, services.records)
        if settings.broker_url
        else RedisQueues(services.redis),
    )


def _check_redis(redis: Redis, address: RedisAddress) -> None:
    try:
        redis.ping()
    except (RedisError, OSError, ValueError) as error:  # ValueError: a port beyond 65535
        raise RedisUnavailable(f"Redis cannot be used at {address.shown}: {error}.") from error
    with suppress(NoPermissionError):  # then an operator has thought about it
        check_not_cluster(redis.info(), address.shown)


def masked(url: str) -> str:
    """A URL without its password."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://***@{tail}" if at else url

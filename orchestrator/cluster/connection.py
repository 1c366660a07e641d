"""The control plane's access to a cluster: Redis, broker, store and jobs, from one `Settings`."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery import Celery

from config.settings import Settings
from gpu_worker.errors import PermanentError
from gpu_worker.models.whisper import AUTO
from orchestrator.cluster.ended_jobs import EndedJobs
from orchestrator.cluster.job import Job, Receipts, Summary, describe_job
from orchestrator.cluster.job_index import JobIndex, newest_run
from orchestrator.cluster.outbox import Outbox
from orchestrator.cluster.queues import Queues, RedisQueues
from orchestrator.cluster.rabbitmq import AmqpQueues
from orchestrator.cluster.redis_requirements import check_redis
from orchestrator.cluster.shadows import note_shadow
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.cluster.unreadable_job import unreadable_job
from orchestrator.trail.writing import Trail
from orchestrator.usage.books import Books
from tasks.artifacts import ArtifactMissing, exists
from tasks.artifacts.opening import PATIENT, Patience
from tasks.broker import make_app, redis_address
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord, json_object, read_record
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.records import json_result, result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.services import Services, open_services

# The reconciler looks at a part of the open jobs at a time; their records are parsed.
REMEMBERED_RECORDS = 8_000
PACKED_BYTES = 128 << 20  # manifest and plan of 50,000 open jobs: they are read once


class UnknownJob(PermanentError):
    """There is no job with that id."""

    code = "unknown_job"
    hint = "`scriptorium list` shows a tenant's jobs; `scriptorium --tenant NAME` names the tenant."


class NotFinished(PermanentError):
    """The job has no result yet."""

    code = "not_finished"
    hint = "`scriptorium watch JOB` waits for it."


@dataclass(frozen=True, slots=True)
class Cluster(Services):
    """The control plane's access to one cluster: Redis, store, broker, jobs, outbox and queues."""

    celery: Celery
    jobs: JobIndex
    ended: EndedJobs
    outbox: Outbox
    queues: Queues
    trail: Trail
    books: Books

    def close(self) -> None:
        """Write what waits of the audit trail; close the connections to Redis and the broker."""
        self.trail.close()
        self.celery.close()
        self.redis.close()

    def job(self, tenant: str, job: str) -> Job:
        """Return a job as it is now. Raises UnknownJob."""
        try:
            return self._described(tenant, job)
        except UnicodeEncodeError as error:  # it is not even a name
            raise UnknownJob(f"There is no job {job!r}.") from error
        except FAULTS as error:
            note(f"{tenant}/{job}", error)
            if not isinstance(error, UnreadableRecord):
                error = UnreadableRecord(f"What job {job} came to cannot be read: {error}.")
            return self._unreadable(tenant, job, error)

    def _described(self, tenant: str, job: str) -> Job:
        found = self.jobs.find(tenant, job) or self._restore(tenant, job)
        manifest, run, summary = found
        receipts = self.ledger.read(run)
        if summary is None and (Stage.ASSEMBLE, 0) in receipts:
            summary = self.settle(run)
        manifest = self.run_manifest(manifest, run, receipts, summary)
        plan = self.plan(tenant, job)
        return describe_job(manifest, run.number, receipts, plan, summary, time.time())

    def _unreadable(self, tenant: str, job: str, error: UnreadableRecord) -> Job:
        """Return what is known of a job whose record cannot be read, with that as its error."""
        run = newest_run(self.store, tenant, job)
        if (number := self.jobs.run_number(tenant, job)) > run.number:
            run = Run(tenant, job, number)
        summary = None
        with suppress(ArtifactMissing, UnreadableRecord):
            summary = read_record(self.store, keys.of_run(run, keys.RESULT), Summary.of_result)
        return unreadable_job(run, bool(self.ledger.read(run)), summary, error.to_json())

    def run_manifest(
        self, manifest: Manifest, run: Run, receipts: Receipts, summary: Summary | None = None
    ) -> Manifest:
        """Return the manifest, with the models of the run once a worker has chosen them."""
        if summary is None and (Stage.DETECT_LANGUAGE, 0) not in receipts:
            return manifest
        if summary is not None and manifest.options.model != AUTO:
            return manifest  # of an ended run only the chosen model is shown
        try:
            return self.records.resolved(run)
        except ArtifactMissing:  # the job is being deleted
            return manifest

    def result(self, tenant: str, job: str) -> dict[str, Any]:
        """Return what `published` does, without the run. Raises UnknownJob or NotFinished."""
        return self.published(tenant, job)[1]

    def published(self, tenant: str, job: str) -> tuple[Run, dict[str, Any]]:
        """Return the newest run with a transcript, and its result.

        So a transcript can be read while a retry runs, and if the retry fails. A job without any
        transcript gives the newest result. Raises UnknownJob or NotFinished.
        """
        newest: tuple[Run, dict[str, Any]] | None = None
        for number in range(self.job(tenant, job).run, 0, -1):
            run = Run(tenant, job, number)
            try:
                key = keys.of_run(run, keys.RESULT)
                result = read_record(self.store, key, json_result)
            except ArtifactMissing:
                continue
            if result.get("transcript") is not None:
                return run, result
            newest = newest or (run, result)
        if newest is None:
            raise NotFinished(f"Job {job} has no result yet.")
        return newest

    def timings(self, run: Run) -> dict[str, Any]:
        """Return the seconds that each stage took; empty if nothing was computed."""
        try:
            return dict(read_record(self.store, keys.of_run(run, "timings.json"), json_object))
        except ArtifactMissing:
            return {}

    def plan(self, tenant: str, job: str) -> Plan | None:
        """Return the job's plan, or None while it is not written."""
        try:
            return self.records.plan(tenant, job)
        except ArtifactMissing:
            return None

    def settle(self, run: Run) -> Summary | None:
        """Index the run's summary and remove it from the open runs, if it has a result.

        A run whose end is written without one gets it here. Returns None while there is no end.
        """
        try:
            result = json.loads(self.store.get(keys.of_run(run, keys.RESULT)))
        except ArtifactMissing:
            if (result := self._written_end(run)) is None:
                return None
            self.ended.publish(run, result)
            return self.settle(run)  # with the first result, if another process wrote one
        summary, owes = Summary.of_result(result), False
        if exists(self.store, keys.open_run(run)):  # after a crash it is still, and settled again
            owes = self._owe(run)
            note_shadow(self.store, self.settings.shadow, run, summary)
            self.books.counting.note_end(run)
            self.ended.end(run, summary.status)
            self.store.delete(keys.open_run(run))
        self.jobs.close(run, summary)
        if owes:  # last: a receiver that is told asks at once how the job has ended
            self.outbox.make_due(run)
        return summary

    def _written_end(self, run: Run) -> dict[str, Any] | None:
        """Return the result of a run that ended without one; None if it has not ended.

        Its last stage was given up, or it was canceled, by an earlier release or by a process that
        died before its next write.
        """
        try:
            failed = self.store.get(keys.failed(run.unit(Stage.ASSEMBLE)))
            return result_record(error=json.loads(failed))
        except ArtifactMissing:
            canceled = exists(self.store, keys.of_run(run, "canceled"))
            return result_record(canceled=True) if canceled else None

    def _owe(self, run: Run) -> bool:
        """Put the run into the outbox if its job has a webhook or an output; tell whether it has.

        If this process dies before that is due, the reconciler makes it due.
        """
        with suppress(ArtifactMissing, UnreadableRecord):  # deleted, or it cannot be read
            manifest = self.records.manifest(run.tenant, run.job)
            if manifest.output or manifest.webhook_url:
                self.outbox.put(run)
                return True
        return False

    def _restore(self, tenant: str, job: str) -> tuple[Manifest, Run, Summary | None]:
        """Index a job that Redis does not know, from the store. Raises UnknownJob."""
        self.records.forget(tenant, job)  # another process may have deleted the job
        manifest = None
        with suppress(ArtifactMissing, ValueError):  # ValueError: it is not even a name
            if not exists(self.store, keys.tombstone(tenant, job)):
                manifest = self.records.manifest(tenant, job)
        if manifest is None:
            self.jobs.forget(tenant, job)  # it may be listed: deleted while all jobs were listed
            raise UnknownJob(f"There is no job {job!r}.")
        run = newest_run(self.store, tenant, job)
        summary = self.settle(run)  # first: what dies here has told Redis of no run without an end
        self.jobs.add(manifest, run, is_open=False)
        if exists(self.store, keys.tombstone(tenant, job)):  # a deletion has looked there before
            return self._restore(tenant, job)
        return manifest, run, summary


def open_cluster(settings: Settings, patience: Patience = PATIENT) -> Cluster:
    """Open all connections; `patience` is that with the store.

    Raises RedisUnavailable, StoreUnavailable or InvalidOption.
    """
    celery = make_app(settings, only_sends=True)
    services = open_services(settings, REMEMBERED_RECORDS, PACKED_BYTES, patience)
    check_redis(services.redis, redis_address(settings))
    return Cluster(
        **services.parts(),
        celery=celery,
        jobs=JobIndex(services.redis),
        ended=EndedJobs(services.store, services.records),
        outbox=Outbox(services.store, services.redis),
        queues=AmqpQueues(celery, services.records)
        if settings.broker_url
        else RedisQueues(services.redis, services.records),
        trail=Trail(services.store),
        books=Books.of(services),
    )

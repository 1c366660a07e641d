"""Taking jobs in, and what one can do to a job: submit, cancel, retry.

A job is accepted when its manifest is in the store, Redis knows it and its first
message is sent, in this order. Dying in between loses nothing: the same submission
with the same idempotency key goes on where the first one stopped.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from config.settings import Settings
from gpu_worker.diarization.models import check_trusted, diarize_model
from gpu_worker.errors import (
    AudioOutOfBounds,
    PermanentError,
    RedisUnavailable,
    ScriptoriumError,
    SourceMissing,
)
from gpu_worker.models import find_model
from orchestrator.connection import Connection
from orchestrator.jobs import TRANSITIONS, Job, Status
from tasks.artifacts import keys
from tasks.manifest import Manifest, Source
from tasks.options import JobOptions, job_options
from tasks.pipeline import run_canvas
from tasks.records import encode, exists, result_record
from tasks.stages import Stage, Unit

_PLAN_OPTIONS = ("channel", "channels", "chunk_seconds")  # those that `prepare` follows


class IdempotencyConflict(PermanentError):
    """This idempotency key was used for a different submission."""

    code = "idempotency_conflict"
    hint = "Use a new key for a new submission."


class IllegalTransition(PermanentError):
    """The job is not in a state in which that can be done."""

    code = "illegal_transition"
    hint = "`scriptorium status JOB` shows where it stands."


def upload(connection: Connection, path: Path, tenant: str) -> Source:
    """Put a local file into the store, named by its content. Raises SourceMissing."""
    try:
        with path.open("rb") as file:
            checksum = file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
    except OSError as error:
        raise SourceMissing(f"{path.name!r} cannot be read: {error.strerror}.") from error
    if size > connection.settings.max_source_bytes:
        raise AudioOutOfBounds(f"{path.name!r} has {size} bytes, more than are accepted.")
    key = keys.source(tenant, checksum)
    if not exists(connection.store, key):
        connection.store.put_file(key, path)
    return Source(name=path.name, artifact=key)


def submit(
    connection: Connection,
    source: Source,
    options: JobOptions,
    *,
    tenant: str,
    idempotency_key: str | None = None,
) -> Job:
    """Accept a job.

    Raises UnknownModel, IdempotencyConflict, RedisUnavailable or StoreUnavailable.
    """
    _check_models(options, connection.settings)
    manifest = Manifest(
        tenant=tenant,
        job=job_id(tenant, idempotency_key),
        created_at=round(time.time(), 3),
        source=source,
        options=options,
        idempotency_key=idempotency_key,
    )
    unit = Unit(tenant, manifest.job, 1, Stage.ASSEMBLE)
    key = keys.manifest(tenant, manifest.job)
    if not connection.store.put(key, encode(manifest.model_dump(mode="json"))):
        first = connection.records.manifest(tenant, manifest.job)
        if (first.source, first.options) != (source, options):
            raise IdempotencyConflict()
        if exists(connection.store, keys.run(unit, "result.json")):
            return connection.job(tenant, manifest.job)
        manifest = first
    return _accept(connection, manifest)


def rerun(connection: Connection, tenant: str, job: str, changes: dict[str, Any]) -> Job:
    """A new job of a finished one's audio with some options changed; the old one stays.

    What the changes leave as it was is found in the store and not computed again. Raises
    UnknownJob, IllegalTransition, InvalidOption and what `submit` raises.
    """
    current = connection.job(tenant, job)
    if not current.status.final:
        raise IllegalTransition(f"Job {job} is {current.status.value}; it cannot be run again yet.")
    first = connection.records.manifest(tenant, job)
    options = job_options(first.options.model_dump(mode="json") | changes)
    _check_models(options, connection.settings)
    manifest = first.model_copy(
        update={
            "job": job_id(tenant, None),
            "created_at": round(time.time(), 3),
            "options": options,
            "idempotency_key": None,
            "rerun_of": job,
        }
    )
    plan = keys.plan(tenant, job)
    prepared = exists(connection.store, plan) and all(
        getattr(options, name) == getattr(first.options, name) for name in _PLAN_OPTIONS
    )
    connection.store.put(
        keys.manifest(tenant, manifest.job), encode(manifest.model_dump(mode="json"))
    )
    if prepared:  # the source may be gone; what was decoded of it is here
        connection.store.put(keys.plan(tenant, manifest.job), connection.store.get(plan))
    return _accept(connection, manifest, prepared=prepared)


def cancel(connection: Connection, tenant: str, job: str) -> Job:
    """End a job without a result. Raises UnknownJob, or IllegalTransition once it has ended."""
    current = connection.job(tenant, job)
    _allow(current, Status.CANCELED, "canceled")
    unit = Unit(tenant, job, current.run, Stage.ASSEMBLE)
    connection.cancellations.cancel(unit)
    connection.store.put(keys.run(unit, "result.json"), encode(result_record(canceled=True)))
    connection.settle(unit)
    return connection.job(tenant, job)


def retry(connection: Connection, tenant: str, job: str) -> Job:
    """Start the next run of a job that did not complete; what was computed stays.

    Raises UnknownJob or IllegalTransition.
    """
    current = connection.job(tenant, job)
    if current.status is Status.COMPLETED:
        raise IllegalTransition(
            f"Job {job} is completed; there is nothing to retry.",
            hint="`scriptorium rerun JOB` computes what its warnings say is missing.",
        )
    _allow(current, Status.QUEUED, "retried")
    unit = Unit(tenant, job, current.run + 1, Stage.ASSEMBLE)
    connection.store.put(keys.open_run(unit), b"")
    connection.store.put(keys.run(unit, "started.json"), encode({"started_at": time.time()}))
    for letter in connection.store.list(f"{keys.DEAD_LETTERS}{tenant}/{job}/"):
        connection.store.delete(letter)
    manifest = connection.records.manifest(tenant, job)
    _issue(connection, manifest, unit.run, prepared=connection.plan(unit) is not None)
    return connection.job(tenant, job)


def job_id(tenant: str, idempotency_key: str | None) -> str:
    """Sorts by time; with an idempotency key it follows from the key alone."""
    if idempotency_key is not None:
        return "k" + sha256(f"{tenant}\n{idempotency_key}".encode()).hexdigest()[:23]
    return f"{int(time.time() * 1000):011x}{secrets.token_hex(6)}"


def _check_models(options: JobOptions, settings: Settings) -> None:
    """Raise UnknownModel or ModelNotTrusted for a name that no worker would load."""
    find_model(options.model)
    if options.diarizes:
        check_trusted(diarize_model(options.model, options.diarize_model), settings.trusted)


def _accept(connection: Connection, manifest: Manifest, *, prepared: bool = False) -> Job:
    """Start the first run of a job whose manifest is in the store."""
    tenant, job = manifest.tenant, manifest.job
    open_run = keys.open_run(Unit(tenant, job, 1, Stage.ASSEMBLE))
    connection.store.put(open_run, b"")
    try:
        _issue(connection, manifest, 1, prepared=prepared)
    except ScriptoriumError:
        if manifest.idempotency_key is None:  # nobody can ask for it again: it must not run later
            with suppress(ScriptoriumError):
                for key in (open_run, keys.plan(tenant, job), keys.manifest(tenant, job)):
                    connection.store.delete(key)
        raise
    return connection.job(tenant, job)


def _allow(job: Job, target: Status, verb: str) -> None:
    if target not in TRANSITIONS[job.status]:
        raise IllegalTransition(f"Job {job.id} is {job.status.value}; it cannot be {verb}.")


def _issue(connection: Connection, manifest: Manifest, run: int, *, prepared: bool = False) -> None:
    try:
        connection.jobs.add(manifest, run)
        run_canvas(connection.celery, manifest, run, prepared=prepared).apply_async(
            ignore_result=True,  # else this process subscribes to it and never hears the end
            retry=True,
            retry_policy={"max_retries": 2, "interval_start": 0.2},
        )
    except (RedisError, OperationalError) as error:
        raise RedisUnavailable("Redis cannot be reached, so the job was not accepted.") from error

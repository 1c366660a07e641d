"""Accept jobs: new ones, and finished ones whose audio is run again with other options.

A job is accepted when its manifest is in the store, Redis has it indexed and its first message
is sent, in this order. A crash in between loses nothing: the same submission with the same
idempotency key continues where the first one stopped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from gpu_worker.errors import PermanentError, ScriptoriumError, SourceMissing
from orchestrator.access.quotas import Quota, weight_of
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job, describe_job
from orchestrator.jobs import vocabulary_use
from orchestrator.jobs.admission import admit
from orchestrator.jobs.ids import forget_key, job_id, keyed_job
from orchestrator.jobs.options import accepted_options, with_allowed_lane
from orchestrator.jobs.ready_by import check_ready_by
from orchestrator.jobs.refusals import give_back, keep
from orchestrator.jobs.runs import IllegalTransition, issue
from orchestrator.jobs.sources import clip_keys, uploaded_keys
from orchestrator.jobs.trial import divided, submitted_again
from orchestrator.jobs.vocabularies import UnknownVocabulary
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Output, Source
from tasks.runs.options import JobOptions
from tasks.runs.units import Run
from tasks.state.claims import claim
from tasks.telemetry.tracing import submission_span

_UPLOAD_AGAIN = "Upload the file again and submit it then."
_SUBMITTED = ("source", "options", "metadata", "webhook_url", "output")  # equal: the same
_PLAN_OPTIONS = ("audio_track", "channel", "channels", "chunk_seconds")  # that change the plan


class IdempotencyConflict(PermanentError):
    """This idempotency key was used for a different submission."""

    code = "idempotency_conflict"
    hint = "Use a new key for a new submission."


def submit(
    cluster: Cluster,
    source: Source,
    options: JobOptions,
    *,
    tenant: str,
    idempotency_key: str | None = None,
    metadata: dict[str, str] | None = None,
    webhook_url: str | None = None,
    ready_by: float | None = None,
    output: Output | None = None,
    quota: Quota | None = None,
    way: str | None = None,
) -> Job:
    """Accept a job and return it. Operators submit without a quota.

    `way`: how it came in, for the metrics; None: not counted. `ready_by`: seconds since 1970.
    Raises UnknownModel, UnknownVocabulary, ReadyByPassed, SourceMissing, IdempotencyConflict,
    QuotaExceeded, ClusterFull, RedisUnavailable or StoreUnavailable.
    """
    control = accepted_options(options, cluster.settings)  # before the key is used
    vocabulary = vocabulary_use.asked_version(cluster.store, tenant, options, idempotency_key)
    job = job_id() if idempotency_key is None else keyed_job(cluster.store, tenant, idempotency_key)
    accepted, side = divided(options, control, job, cluster.settings)
    with submission_span(cluster.settings, tenant, job) as traceparent:
        manifest = Manifest(
            tenant=tenant,
            job=job,
            created_at=round(time.time(), 3),
            source=source,
            idempotency_key=idempotency_key,
            metadata=metadata or {},
            webhook_url=webhook_url,
            output=output,
            max_audio_seconds=quota.audio_seconds if quota else None,
            max_source_bytes=quota.source_bytes if quota else None,
            weight=weight_of(cluster.settings, tenant),
            ready_by=ready_by,
            traceparent=traceparent,
            trial=side,
            **vocabulary_use.fixed(accepted, options, vocabulary),
        )
        return _submit(cluster, manifest, options, quota, way)


def _submit(
    cluster: Cluster, manifest: Manifest, given: JobOptions, quota: Quota | None, way: str | None
) -> Job:
    store, tenant, idempotency_key = cluster.store, manifest.tenant, manifest.idempotency_key
    key = keys.manifest(tenant, manifest.job)
    if idempotency_key is None or not exists(store, key):  # else it has a place, or has ended
        check_ready_by(manifest.ready_by, manifest.created_at)
        admit(cluster, tenant, manifest.job, quota, manifest.created_at)
    is_first = store.put(key, encode(manifest.model_dump(mode="json")))
    if idempotency_key is not None and exists(store, keys.tombstone(tenant, manifest.job)):
        # Deleted after its id was read for the key: submit again, which makes a new job.
        forget_key(store, tenant, manifest.job, idempotency_key)
        if is_first:
            store.delete(key)
        cluster.jobs.refuse(tenant, manifest.job)
        named = {name: getattr(manifest, name) for name in _SUBMITTED}
        named |= {"options": given, "quota": quota, "way": way, "ready_by": manifest.ready_by}
        return submit(cluster, **named, tenant=tenant, idempotency_key=idempotency_key)
    if not is_first:
        manifest = _first(cluster, manifest, given)
        if _is_accepted(cluster, Run(tenant, manifest.job, 1)):
            return cluster.job(tenant, manifest.job)
    needed = uploaded_keys(manifest)
    try:
        job = _accept(cluster, manifest, needed, way)
    except (SourceMissing, UnknownVocabulary):
        if idempotency_key is not None and is_first:
            give_back(cluster, manifest, idempotency_key, needed)
        raise
    if not is_first:  # the process that was first may have given it back meanwhile
        keep(cluster, manifest, needed)
    return job


def _is_accepted(cluster: Cluster, run: Run) -> bool:
    """Tell whether the first run of a job goes on or has ended, so that nothing is to be sent.

    The store says whether it was begun: an earlier try may have stopped before, and Redis may know
    the job for another reason. A run that Redis has forgotten is sent again at once.
    """
    if exists(cluster.store, keys.of_run(run, keys.RESULT)):
        return True
    return exists(cluster.store, keys.open_run(run)) and cluster.jobs.is_open(run)


def rerun(
    cluster: Cluster,
    tenant: str,
    job: str,
    changes: dict[str, Any],
    *,
    quota: Quota | None = None,
    way: str | None = None,
) -> Job:
    """Start a new job with a finished one's audio and some options changed; keep the old one.

    Results that the changes do not affect are found in the store and not computed again. Raises
    UnknownJob, IllegalTransition, InvalidOption and what `submit` raises.
    """
    current = cluster.job(tenant, job)
    if not current.status.final:
        raise IllegalTransition(f"Job {job} is {current.status.value}; it cannot be run again yet.")
    first = cluster.records.manifest(tenant, job)
    options = accepted_options(vocabulary_use.changed(first, changes), cluster.settings)
    if quota is not None:
        options = with_allowed_lane(options, tenant, cluster.settings)
    new = job_id()
    with submission_span(cluster.settings, tenant, new) as traceparent:
        manifest = first.model_copy(
            update={
                "job": new,
                "created_at": round(time.time(), 3),
                "idempotency_key": None,
                "rerun_of": job,
                "ready_by": None,
                "traceparent": traceparent,
                "trial": None,  # its options are chosen
            }
            | vocabulary_use.fixed_again(cluster.store, first, options, changes)
        )
        return _run_again(cluster, first, manifest, quota, way)


def _run_again(
    cluster: Cluster,
    first: Manifest,
    manifest: Manifest,
    quota: Quota | None,
    way: str | None,
) -> Job:
    tenant, options = manifest.tenant, manifest.options
    admit(cluster, tenant, manifest.job, quota, manifest.created_at)
    plan = keys.plan(tenant, first.job)
    prepared = exists(cluster.store, plan) and all(
        getattr(options, name) == getattr(first.options, name) for name in _PLAN_OPTIONS
    )
    cluster.store.put(keys.manifest(tenant, manifest.job), encode(manifest.model_dump(mode="json")))
    needed = uploaded_keys(manifest)
    if prepared:  # the decoded audio is enough; the source may be deleted
        known = cluster.records.plan(tenant, first.job)
        needed = [keys.pcm(tenant, audio) for audio in {known.audio, *known.channels}]
        needed += clip_keys(manifest)
        cluster.store.put(keys.plan(tenant, manifest.job), cluster.store.get(plan))
    return _accept(cluster, manifest, needed, way, prepared=prepared)


def _first(cluster: Cluster, manifest: Manifest, given: JobOptions) -> Manifest:
    """Return the manifest first submitted with this job's key. Raises IdempotencyConflict."""
    first = cluster.records.manifest(manifest.tenant, manifest.job)
    options = vocabulary_use.as_first(first, submitted_again(first, given, cluster.settings))
    again = manifest.model_copy(update={"options": options})
    if any(getattr(first, name) != getattr(again, name) for name in _SUBMITTED):
        raise IdempotencyConflict()
    return first


def _accept(
    cluster: Cluster,
    manifest: Manifest,
    needed: Sequence[str],
    way: str | None,
    *,
    prepared: bool = False,
) -> Job:
    """Start the first run of a job whose manifest is in the store; `needed`: keys it depends on."""
    tenant, job = manifest.tenant, manifest.job
    run = Run(tenant, job, 1)
    open_run = keys.open_run(run)
    contents = [keys.content(key) for key in needed]
    uses = [keys.uses(tenant, content) + job for content in contents]
    try:
        claim(cluster.store, cluster.leases, tenant, job, contents)
        for key in needed:
            if not exists(cluster.store, key):
                raise SourceMissing(
                    "An uploaded file of this job is not in the store.", hint=_UPLOAD_AGAIN
                )
        vocabulary_use.keep_copy(cluster.store, manifest)
        cluster.store.put(open_run, b"")
        issue(cluster, manifest, run, prepared=prepared)
    except ScriptoriumError:
        if manifest.idempotency_key is None:  # cannot be submitted again: must not run later
            own = (open_run, *uses, keys.plan(tenant, job), keys.manifest(tenant, job))
            own += vocabulary_use.copies(manifest)
            with suppress(ScriptoriumError, RedisError):
                for key in own:
                    cluster.store.delete(key)
                cluster.jobs.refuse(tenant, job)
                cluster.jobs.forget(tenant, job)
        raise
    if way is not None:
        from tasks.telemetry.metrics import JOBS_SUBMITTED  # most commands do not need it

        JOBS_SUBMITTED.labels(way).inc()
    return describe_job(manifest, 1, {}, None, None, time.time())

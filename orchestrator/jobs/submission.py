"""Accept jobs: new ones, and finished ones whose audio is run again with other options.

A job is accepted when its manifest is in the store, Redis has it indexed and its first message
is sent, in this order. A crash in between loses nothing: the same submission with the same
idempotency key continues where the first one stopped.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from gpu_worker.errors import PermanentError, SourceMissing
from orchestrator.access.quotas import Quota, weight_of
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Job
from orchestrator.jobs import vocabulary_use
from orchestrator.jobs.acceptance import accept, is_accepted
from orchestrator.jobs.admission import admit
from orchestrator.jobs.costing import cost_of
from orchestrator.jobs.deletion import without_notes
from orchestrator.jobs.ids import forget_key, job_id, keyed_job
from orchestrator.jobs.options import accepted_options, with_allowed_lane
from orchestrator.jobs.ready_by import check_ready_by
from orchestrator.jobs.refusals import KeyGivenBack, give_back, keep
from orchestrator.jobs.runs import IllegalTransition
from orchestrator.jobs.sources import clip_keys, uploaded_keys
from orchestrator.jobs.trial import divided, submitted_again
from orchestrator.jobs.vocabularies import UnknownVocabulary
from tasks.artifacts import ArtifactMissing, encode, exists
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Output, Source
from tasks.runs.options import JobOptions
from tasks.runs.pieces import check_pieces
from tasks.runs.units import Run, created_at
from tasks.telemetry.tracing import submission_span

_FRESH_SECONDS = 1.0  # between a job's id and its manifest, where nothing has happened in between
_SUBMITTED = ("source", "options", "metadata", "labels", "webhook_url", "output")  # equal: the same
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
    labels: dict[str, str] | None = None,
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
            labels=labels or {},
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
        try:
            return _submit(cluster, manifest, options, quota, way)
        except KeyGivenBack:  # or the job was deleted: submit again, which makes a new one
            named = {name: getattr(manifest, name) for name in _SUBMITTED}
            named |= {"options": options, "quota": quota, "way": way, "ready_by": ready_by}
            return submit(cluster, **named, tenant=tenant, idempotency_key=idempotency_key)


def _submit(
    cluster: Cluster, manifest: Manifest, given: JobOptions, quota: Quota | None, way: str | None
) -> Job:
    store, tenant, idempotency_key = cluster.store, manifest.tenant, manifest.idempotency_key
    cost = None
    key = keys.manifest(tenant, manifest.job)
    if idempotency_key is None or not exists(store, key):  # else it has a place, or has ended
        check_ready_by(manifest.ready_by, manifest.created_at)
        cost = cost_of(cluster, manifest, None)
        admit(cluster, Run(tenant, manifest.job, 1), quota, manifest.created_at, cost)
        _forget_rest(cluster, manifest)
    is_first = store.put(key, encode(manifest.model_dump(mode="json")))
    if idempotency_key is not None and exists(store, keys.tombstone(tenant, manifest.job)):
        # Deleted after its id was read for the key
        forget_key(store, tenant, manifest.job, idempotency_key)
        if is_first:
            store.delete(key)
        cluster.jobs.refuse(Run(tenant, manifest.job, 1))
        raise KeyGivenBack
    if not is_first:
        try:
            manifest = _first(cluster, manifest, given)
        except ArtifactMissing as error:
            raise KeyGivenBack from error
        if is_accepted(cluster, Run(tenant, manifest.job, 1)):
            return cluster.job(tenant, manifest.job)
    needed = uploaded_keys(manifest)
    try:
        job = accept(cluster, manifest, needed, way, cost=cost)
    except (SourceMissing, UnknownVocabulary):
        if idempotency_key is not None and is_first:
            give_back(cluster, manifest, idempotency_key, needed)
        raise
    if not is_first:  # the process that was first may have given it back meanwhile
        keep(cluster, manifest, needed)
    return job


def rerun(
    cluster: Cluster,
    tenant: str,
    job: str,
    changes: dict[str, Any],
    *,
    ready_by: float | None = None,
    quota: Quota | None = None,
    way: str | None = None,
) -> Job:
    """Start a new job with a finished one's audio and some options changed; keep the old one.

    `ready_by`: of the new job, in seconds since 1970. Results that the changes do not affect are
    found in the store and not computed again. Raises UnknownJob, IllegalTransition, InvalidOption
    and what `submit` raises.
    """
    current = cluster.job(tenant, job)
    if not current.status.final:
        raise IllegalTransition(f"Job {job} is {current.status.value}; it cannot be run again yet.")
    try:
        first = cluster.records.manifest(tenant, job)
    except ArtifactMissing as error:  # deleted just now
        raise UnknownJob(f"There is no job {job!r}.") from error
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
                "ready_by": ready_by,
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
    check_ready_by(manifest.ready_by, manifest.created_at)
    if (heard := cluster.plan(tenant, first.job)) is not None:
        parts = len(set(heard.channels)) if options.channels == "split" else 1
        check_pieces(options, heard.seconds, max(1, parts), cluster.settings.max_chunks)
    known, plan, needed = None, b"", uploaded_keys(manifest)  # all is read before it is written
    with suppress(ArtifactMissing):  # it was not prepared, or is deleted just now
        if all(getattr(options, it) == getattr(first.options, it) for it in _PLAN_OPTIONS):
            known = cluster.records.plan(tenant, first.job)
            plan = cluster.store.get(keys.plan(tenant, first.job))
            # The decoded audio is enough; the source may be deleted
            needed = [keys.pcm(tenant, audio) for audio in {known.audio, *known.channels}]
            needed += clip_keys(manifest)
    cost = cost_of(cluster, manifest, known)
    admit(cluster, Run(tenant, manifest.job, 1), quota, manifest.created_at, cost)
    cluster.store.put(keys.manifest(tenant, manifest.job), encode(manifest.model_dump(mode="json")))
    if plan:
        cluster.store.put(keys.plan(tenant, manifest.job), plan)
    return accept(cluster, manifest, needed, way, prepared=bool(plan), cost=cost)


def _forget_rest(cluster: Cluster, manifest: Manifest) -> None:
    """Remove what a job without a manifest has, whose id was given to its key a while ago.

    A copy of a bucket in use may have its plan and lack the audio that the plan names.
    """
    tenant, job = manifest.tenant, manifest.job
    if manifest.created_at - (created_at(job) or manifest.created_at) < _FRESH_SECONDS:
        return
    own = list(cluster.store.list(keys.job(tenant, job)))
    if keys.manifest(tenant, job) not in own:
        for key in without_notes(tenant, job, own):
            cluster.store.delete(key)
        cluster.records.forget(tenant, job)


def _first(cluster: Cluster, manifest: Manifest, given: JobOptions) -> Manifest:
    """Return the manifest first submitted with this job's key. Raises IdempotencyConflict."""
    first = cluster.records.manifest(manifest.tenant, manifest.job)
    options = vocabulary_use.as_first(first, submitted_again(first, given, cluster.settings))
    again = manifest.model_copy(update={"options": options})
    if any(getattr(first, name) != getattr(again, name) for name in _SUBMITTED):
        raise IdempotencyConflict()
    return first

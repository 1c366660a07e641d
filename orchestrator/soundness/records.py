"""Look whether what the records of an open run name is in the store."""

from __future__ import annotations

from orchestrator.cluster.unreadable import FAULTS
from orchestrator.jobs.sources import clip_keys, uploaded_keys
from orchestrator.soundness.findings import RecordFacts
from tasks.artifacts import ArtifactMissing, ArtifactStore, exists
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.records import Records
from tasks.runs.units import Run


def look_at_records(store: ArtifactStore, records: Records, run: Run) -> RecordFacts:
    """Return what is lost of an open run: some four requests of the store.

    Raises ArtifactMissing if the job is gone, and what the store raises.
    """
    tenant, job = run.tenant, run.job
    try:
        manifest = records.manifest(tenant, job)
    except ArtifactMissing:
        raise
    except FAULTS:
        return RecordFacts(run, unreadable=keys.manifest(tenant, job))
    try:
        plan: Plan | None = records.plan(tenant, job)
    except ArtifactMissing:
        plan = None
    except FAULTS:
        return RecordFacts(run, unreadable=keys.plan(tenant, job))
    audios = tuple(dict.fromkeys(plan.channels or (plan.audio,))) if plan else ()
    decoded = [keys.pcm(tenant, audio) for audio in audios]
    lost_audio = tuple(key for key in decoded if not exists(store, key))
    lacks_language = plan is not None and _lacks_language(store, records, run, plan)
    is_prepared = plan is not None and not lost_audio
    submitted = clip_keys(manifest) if is_prepared else uploaded_keys(manifest)
    needed = [*decoded, *submitted] if is_prepared else submitted
    claims = [keys.uses(tenant, keys.content(key)) + job for key in needed]
    return RecordFacts(
        run,
        lost_audio,
        lacks_language,
        lost_sources=tuple(key for key in submitted if not exists(store, key)),
        not_claimed=tuple(key for key in claims if not exists(store, key)),
        lost_key=_lost_key(store, manifest),
    )


def _lacks_language(store: ArtifactStore, records: Records, run: Run, plan: Plan) -> bool:
    """Tell whether the models of a run are chosen by a language that is not there."""
    if not exists(store, keys.of_run(run, keys.CHOICE)):
        return False
    try:
        manifest = records.resolved(run)
    except FAULTS:
        return False
    if manifest.options.language is not None or manifest.options.languages is not None:
        return False
    return not exists(store, keys.language(run.tenant, plan.heard, manifest.options))


def _lost_key(store: ArtifactStore, manifest: Manifest) -> str:
    if manifest.idempotency_key is None:
        return ""
    key = keys.idempotency(manifest.tenant, manifest.idempotency_key)
    return "" if exists(store, key) else key

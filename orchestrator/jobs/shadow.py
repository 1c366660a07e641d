"""Make the shadows of completed jobs: the same audio once more, with other options.

`SCRIPTORIUM_SHADOW` says which, as `{"share": 0.05, "model": "base"}`. A shadow waits behind all
other work, has no webhook and no output, and its use is booked to the operator.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from config.settings import Settings
from gpu_worker.errors import InvalidOption, ModelNotTrusted, SourceMissing
from gpu_worker.models.allowed import check_allowed
from gpu_worker.models.whisper import AUTO, find_model
from orchestrator.access.quotas import quota_of, weight_of
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.costs import Cost
from orchestrator.cluster.shadows import MADE, SHADOW_TENANT, shadow_job
from orchestrator.jobs.acceptance import is_accepted
from orchestrator.jobs.admission import admit
from orchestrator.jobs.costing import cost_of
from orchestrator.jobs.deletion import remove_shadow
from orchestrator.jobs.options import accepted_options
from orchestrator.jobs.ready_by import LONGEST_SECONDS
from orchestrator.jobs.runs import issue
from orchestrator.jobs.sources import clip_keys
from tasks.artifacts import ArtifactMissing, encode, exists
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Source
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import changed_options, job_options
from tasks.runs.units import Run
from tasks.state.claims import claim

# A shadow hears the chunks of its job, in its own lane and place; voices keep their names. Its
# tenant has no vocabularies.
FIXED = frozenset(
    {"audio_track", "channel", "channels", "chunk_seconds", "lane", "known_speakers", "vocabulary"}
)
MOST_OPEN = 1000  # shadows at once: while workers have no time for them, no more are made
_HINT = 'Write it as {"share": 0.05, "model": "base"} (docs/settings.md).'


@dataclass(frozen=True, slots=True)
class Shadow:
    """The share of completed jobs that have a shadow, and the options of shadows that differ."""

    share: float
    seed: int
    options: Mapping[str, Any]


def shadow_of(settings: Settings) -> Shadow | None:
    """Return what the setting says, or None without one.

    Raises InvalidOption, UnknownModel or ModelNotTrusted.
    """
    if not settings.shadow:
        return None
    options = dict(settings.shadow)
    share, seed = options.pop("share", None), options.pop("seed", 0)
    is_share = isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1
    if not is_share or not isinstance(seed, int) or isinstance(seed, bool):
        raise InvalidOption(
            "SCRIPTORIUM_SHADOW is not valid: share is from 0 to 1, and seed a whole number.",
            hint=_HINT,
        )
    fixed = sorted(FIXED & options.keys())
    if fixed or not options:
        told = f"{fixed[0]} stays as it is" if fixed else "it changes no option"
        raise InvalidOption(f"SCRIPTORIUM_SHADOW is not valid: {told}.", hint=_HINT)
    try:
        found = job_options(options)
    except InvalidOption as error:
        raise InvalidOption(f"SCRIPTORIUM_SHADOW: {error.message}", hint=_HINT) from error
    if found.model != AUTO:
        check_allowed(found.model, settings.allowed, revision=found.revision)
        find_model(found.model)
    return Shadow(float(share), seed, options)


def shadow_options(options: JobOptions, shadow: Shadow, settings: Settings) -> JobOptions | None:
    """Return the options of a job's shadow; None if its model could not do the job, or as before.

    `options` are those of the completed run.
    """
    try:
        changed = accepted_options(changed_options(options, shadow.options), settings)
    except (InvalidOption, ModelNotTrusted):
        return None
    if changed == options:
        return None
    # Compared is what was heard; and the shadow's tenant has no vocabularies.
    return changed.model_copy(update={"lane": None, "vocabulary": None})


def make_shadow(cluster: Cluster, run: Run, shadow: Shadow) -> bool:
    """Make the shadow of a completed run, or go on where a process died; return whether it is made.

    False: the job is gone, or its audio, or the shadow's model could not do it. Raises what `admit`
    raises for a tenant with a quota, and what the store and `issue` raise.
    """
    try:
        first = cluster.records.resolved(run)
        plan = cluster.records.plan(run.tenant, run.job)
        options = shadow_options(first.options, shadow, cluster.settings)
        if options is None:
            return False
        own = Run(SHADOW_TENANT, shadow_job(run.tenant, run.job), 1)
        if is_accepted(cluster, own):
            return True
        now = round(time.time(), 3)
        quota = quota_of(cluster.settings, own.tenant)
        quota = replace(quota, jobs_in_flight=min(quota.jobs_in_flight, MOST_OPEN))
        manifest = _manifest(first, own, options, now, cluster.settings)
        cost = cost_of(cluster, manifest, plan)
        admit(cluster, own, quota, now, cost)
        needed = [keys.pcm(run.tenant, it) for it in dict.fromkeys((plan.audio, *plan.channels))]
        needed += clip_keys(first)
        _accept(cluster, run, manifest, needed, cost)
    except (ArtifactMissing, SourceMissing):
        remove_shadow(cluster, run.tenant, run.job)
        return False
    if not exists(cluster.store, keys.manifest(run.tenant, run.job)):  # deleted meanwhile
        remove_shadow(cluster, run.tenant, run.job)
        return False
    return True


def _manifest(
    first: Manifest, own: Run, options: JobOptions, now: float, settings: Settings
) -> Manifest:
    """Return the manifest of a shadow: with nothing of the tenant's but the file's name."""
    return Manifest(
        tenant=own.tenant,
        job=own.job,
        created_at=now,
        source=Source(name=first.source.name),
        options=options,
        weight=weight_of(settings, own.tenant),
        ready_by=round(now + LONGEST_SECONDS, 3),  # behind all that is due sooner
    )


def _accept(
    cluster: Cluster, run: Run, manifest: Manifest, needed: Sequence[str], cost: Cost
) -> None:
    """Write all that a shadow is made of, then send its first message.

    What names the contents is written first, so that a deletion finds them at every moment.
    """
    store, own = cluster.store, Run(manifest.tenant, manifest.job, 1)
    entry = {"shadow": own.job, "options": manifest.options.model_dump(mode="json")}
    store.put(MADE + run.name, encode(entry))
    store.put(keys.manifest(own.tenant, own.job), encode(manifest.model_dump(mode="json")))
    store.put(keys.plan(own.tenant, own.job), store.get(keys.plan(run.tenant, run.job)))
    contents = [keys.content(key) for key in needed]
    claim(store, cluster.leases, own.tenant, own.job, contents)
    for key in needed:
        _copy(cluster, key, key.replace(f"/{run.tenant}/", f"/{own.tenant}/", 1))
    store.put(keys.open_run(own), b"")
    written = cluster.records.manifest(own.tenant, own.job)  # an earlier try's, if there was one
    issue(cluster, written, own, cost, prepared=True)


def _copy(cluster: Cluster, key: str, to: str) -> None:
    """Copy a content of another tenant. Raises SourceMissing."""
    store = cluster.store
    if exists(store, to):
        return
    if cluster.settings.work_dir is not None:
        cluster.settings.work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cluster.settings.work_dir) as scratch:
        path = Path(scratch) / "content"
        with suppress(ArtifactMissing):
            store.fetch(key, path)
            store.put_file(to, path)
            return
    raise SourceMissing("The audio of the job is deleted.")

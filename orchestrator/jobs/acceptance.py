"""Start the first run of a job whose manifest is in the store: then it is accepted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError, SourceMissing
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.costs import Cost
from orchestrator.cluster.job import Job, describe_job
from orchestrator.jobs import vocabulary_use
from orchestrator.jobs.costing import cost_of
from orchestrator.jobs.refusals import KeyGivenBack, was_given_back
from orchestrator.jobs.runs import issue
from tasks.artifacts import exists
from tasks.runs import keys
from tasks.runs.manifest import Manifest
from tasks.runs.units import Run
from tasks.state.claims import claim

_UPLOAD_AGAIN = "Upload the file again and submit it then."


def accept(
    cluster: Cluster,
    manifest: Manifest,
    needed: Sequence[str],
    way: str | None,
    *,
    prepared: bool = False,
    cost: Cost | None = None,
) -> Job:
    """Start the first run of a job; `needed`: keys it depends on, `way`: as for `submit`.

    Raises KeyGivenBack, SourceMissing, RedisUnavailable, BrokerUnavailable or StoreUnavailable.
    """
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
        if was_given_back(cluster, manifest, needed):
            raise KeyGivenBack
        cost = cost or cost_of(cluster, manifest, None)
        issue(cluster, manifest, run, cost, prepared=prepared)
    except ScriptoriumError:
        if manifest.idempotency_key is None:  # cannot be submitted again: must not run later
            own = (open_run, *uses, keys.plan(tenant, job), keys.manifest(tenant, job))
            own += vocabulary_use.copies(manifest)
            with suppress(ScriptoriumError, RedisError):
                for key in own:
                    cluster.store.delete(key)
                cluster.jobs.refuse(run)
                cluster.jobs.forget(tenant, job)
        raise
    if way is not None:
        from tasks.telemetry.metrics import JOBS_SUBMITTED  # most commands do not need it

        JOBS_SUBMITTED.labels(way).inc()
    return describe_job(manifest, 1, {}, None, None, time.time())


def is_accepted(cluster: Cluster, run: Run) -> bool:
    """Tell whether the first run of a job goes on or has ended, so that nothing is to be sent.

    The store says whether it was begun: an earlier try may have stopped before, and Redis may know
    the job for another reason. A run that Redis has forgotten is sent again at once.
    """
    if exists(cluster.store, keys.of_run(run, keys.RESULT)):
        return True
    return exists(cluster.store, keys.open_run(run)) and cluster.jobs.is_open(run)

"""Free the idempotency key of a submission that was refused after its manifest was stored."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.ids import forget_key
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.manifest import Manifest
from tasks.runs.units import Run


def give_back(
    cluster: Cluster, manifest: Manifest, idempotency_key: str, needed: Sequence[str]
) -> None:
    """Free the key of a submission that was refused, so that a corrected one may use it.

    The same submission may be accepted by another process at this moment. Each of the two writes
    before it looks for what the other one writes, so at least one of them keeps the job.
    """
    tenant, job = manifest.tenant, manifest.job
    run = Run(tenant, job, 1)
    with suppress(ScriptoriumError, RedisError):
        cluster.store.delete(keys.manifest(tenant, job))
        forget_key(cluster.store, tenant, job, idempotency_key)
        if exists(cluster.store, keys.open_run(run)):
            keep(cluster, manifest, needed)
            return
        for key in needed:
            cluster.store.delete(keys.uses(tenant, keys.content(key)) + job)
        cluster.jobs.refuse(run)
        cluster.jobs.forget(tenant, job)


def keep(cluster: Cluster, manifest: Manifest, needed: Sequence[str]) -> None:
    """Write again what `give_back` may have deleted of a job that is accepted."""
    tenant, job = manifest.tenant, manifest.job
    cluster.store.put(keys.manifest(tenant, job), encode(manifest.model_dump(mode="json")))
    if manifest.idempotency_key is not None:
        cluster.store.put(keys.idempotency(tenant, manifest.idempotency_key), job.encode())
    for key in needed:
        cluster.store.put(keys.uses(tenant, keys.content(key)) + job, b"")

"""Free the idempotency key of a submission that was refused after its manifest was stored.

The same submission may be accepted by another process at this moment. The one that frees the key
marks the job, and then looks for the open marker of its run; the other writes that marker, and then
waits for the mark and looks for the key. So of both at least one sees the other: either the job
stays as it is, or the other submits once more, which gives the key another job. The other one does
not wait for ever: so the one that frees the key looks once more, and writes the job again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError, StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.deletion import turn
from orchestrator.jobs.ids import forget_key
from tasks.artifacts import ArtifactMissing, ArtifactStore, encode, exists
from tasks.runs import keys
from tasks.runs.manifest import Manifest
from tasks.runs.units import Run
from tasks.state.claims import await_releases


class KeyGivenBack(Exception):
    """The idempotency key of a submission was freed meanwhile: it belongs to no job, or another."""


def give_back(
    cluster: Cluster, manifest: Manifest, idempotency_key: str, needed: Sequence[str]
) -> None:
    """Free the key of a submission that was refused, so that a corrected one may use it."""
    store, tenant, job = cluster.store, manifest.tenant, manifest.job
    # In its turn: this manifest may be written behind the deletion of another refused one's.
    with suppress(ScriptoriumError, RedisError), turn(cluster, tenant, job):
        if _was_begun(store, manifest):
            return
        store.delete(keys.manifest(tenant, job))
        forget_key(store, tenant, job, idempotency_key)
        if _was_begun(store, manifest):  # this process stood still, and the other waited in vain
            keep(cluster, manifest, needed)
        else:
            _withdraw(cluster, manifest, needed)


def was_given_back(cluster: Cluster, manifest: Manifest, needed: Sequence[str]) -> bool:
    """Tell whether the key was freed since the job's id was read for it; then nothing of it stays.

    The open marker of the run is there already. Raises what the store raises.
    """
    store, tenant, job = cluster.store, manifest.tenant, manifest.job
    if manifest.idempotency_key is None:
        return False
    with suppress(StoreUnavailable):  # the process that frees it has died
        await_releases(store, cluster.leases, tenant, [job])
    with suppress(ArtifactMissing):
        if store.get(keys.idempotency(tenant, manifest.idempotency_key)) == job.encode():
            return False
    store.delete(keys.manifest(tenant, job))
    store.delete(keys.open_run(Run(tenant, job, 1)))
    with suppress(RedisError):
        _withdraw(cluster, manifest, needed)
    return True


def _was_begun(store: ArtifactStore, manifest: Manifest) -> bool:
    """Tell whether the same submission was accepted by another process; its run may have ended."""
    run = Run(manifest.tenant, manifest.job, 1)
    return exists(store, keys.open_run(run)) or exists(store, keys.of_run(run, keys.RESULT))


def _withdraw(cluster: Cluster, manifest: Manifest, needed: Sequence[str]) -> None:
    tenant, job = manifest.tenant, manifest.job
    for key in needed:
        cluster.store.delete(keys.uses(tenant, keys.content(key)) + job)
    cluster.jobs.refuse(Run(tenant, job, 1))
    cluster.jobs.forget(tenant, job)


def keep(cluster: Cluster, manifest: Manifest, needed: Sequence[str]) -> None:
    """Write again what a process has deleted that died or was late when it gave the key back."""
    tenant, job = manifest.tenant, manifest.job
    cluster.store.put(keys.manifest(tenant, job), encode(manifest.model_dump(mode="json")))
    if manifest.idempotency_key is not None:
        cluster.store.put(keys.idempotency(tenant, manifest.idempotency_key), job.encode())
    for key in needed:
        cluster.store.put(keys.uses(tenant, keys.content(key)) + job, b"")

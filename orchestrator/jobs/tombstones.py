"""Complete deletions: remove what running tasks have written of a deleted job.

A tombstone stays until no unit of its job was leased for a while, and two sweeps in a row have
found nothing of the job.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job_index import newest_run
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.jobs.deletion import Tombstone, erase
from tasks.artifacts import ArtifactMissing
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord

LINGER_LEASES = 2.0  # a tombstone stays at least this many times as long as a lease lasts
log = structlog.get_logger(__name__)


class Tombstones:
    """Sweeps the tombstones; the leading reconciler calls it now and then."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._clock = clock
        self._quiet: set[str] = set()  # keys of tombstones for which the last sweep found nothing

    def sweep(self) -> None:
        """Erase again what deleted jobs have left, and remove tombstones that are old enough.

        Raises redis.RedisError and what the store raises.
        """
        found = list(self._cluster.store.list(keys.DELETED))
        self._quiet &= set(found)
        leased = self._cluster.leases.names() if found else []
        for key in found:
            try:
                self._sweep(self._read(key), leased)
            except ArtifactMissing:  # another reconciler has removed it
                continue
            except FAULTS as error:  # a stray object, or a broken record of this job
                note(key, error)

    def _read(self, key: str) -> Tombstone:
        """Return the tombstone. One that cannot be read stands for a deletion all the same."""
        store = self._cluster.store
        tenant, job = key.removeprefix(keys.DELETED).split("/")
        try:
            return Tombstone.read(store, tenant, job)
        except UnreadableRecord as error:
            note(key, error)
            return Tombstone(tenant, job, 0.0, newest_run(store, tenant, job).number, {})

    def _sweep(self, stone: Tombstone, leased: list[str]) -> None:
        gone = erase(self._cluster, stone)
        notes = list(self._cluster.store.list(keys.job(stone.tenant, stone.job, "uses/")))
        if gone or _is_worked_on(stone, notes, leased):
            log.info("deletion_goes_on", tenant=stone.tenant, job=stone.job, artifacts=gone)
            self._quiet.discard(stone.key)
            return
        stood = self._clock() - stone.deleted_at
        if stone.key in self._quiet and stood >= self._linger_seconds:
            for key in (*notes, stone.key):
                self._cluster.store.delete(key)
            log.info("job_deleted", tenant=stone.tenant, job=stone.job)
        self._quiet.add(stone.key)

    @property
    def _linger_seconds(self) -> float:
        return self._cluster.settings.lease_seconds * LINGER_LEASES


def _is_worked_on(stone: Tombstone, notes: list[str], leased: list[str]) -> bool:
    contents = {*stone.contents, *(key.rpartition("/")[2] for key in notes)}
    folders = [keys.made_of(stone.tenant, content)[1] for content in contents]
    beginnings = (keys.job(stone.tenant, stone.job), *folders)
    return any(key.startswith(beginnings) for key in leased)

"""Seeing deletions through: what tasks in flight still write of a deleted job goes too.

A tombstone stands until nobody has worked on anything of its job for a while, and nothing
of it was found twice in a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.deletion import Tombstone, erase
from tasks.artifacts import ArtifactMissing
from tasks.runs import keys

LINGER_LEASES = 2.0  # leases' lengths that a tombstone stands at least
log = structlog.get_logger(__name__)


class Tombstones:
    """Swept now and then by the reconciler that leads."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._clock = clock
        self._quiet: set[str] = set()  # those of which nothing was found at the last sweep

    def sweep(self) -> None:
        """Erase again what deleted jobs have left, and take away tombstones that have stood.

        Raises redis.RedisError and what the store raises.
        """
        found = list(self._cluster.store.list(keys.DELETED))
        self._quiet &= set(found)
        leased = self._cluster.leases.names() if found else []
        for key in found:
            try:
                tenant, job = key.removeprefix(keys.DELETED).split("/")
                self._sweep(Tombstone.read(self._cluster.store, tenant, job), leased)
            except ArtifactMissing:  # another reconciler's sweep has ended it
                continue

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

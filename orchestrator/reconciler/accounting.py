"""Make the records of what runs used that nothing else has made, and pack those that there are."""

from __future__ import annotations

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.reconciler.leading import Leading
from orchestrator.usage.packing import Packing

PACK_SECONDS = 600.0  # between looks whether there is a pack to make
WAIT_LEASES = 2.0  # times a lease's life that a run has ended before it is counted


class Accounting:
    """Two duties. Each raises LeadLost, redis.RedisError and the store's errors."""

    def __init__(self, cluster: Cluster, leading: Leading) -> None:
        self._cluster = cluster
        self._leading = leading
        self._packing = Packing(cluster.store, cluster.books.reader)

    def count(self) -> None:
        """Count the runs that ended without `assemble`, once nothing works on them any more."""
        cluster, counting = self._cluster, self._cluster.books.counting
        runs = list(counting.uncounted())
        if not runs or cluster.jobs.is_wiped():  # then leases come back with their next renewal
            return
        leased = frozenset(cluster.leases.names())
        wait = WAIT_LEASES * cluster.settings.lease_seconds
        for run in self._leading.while_held(runs):
            try:
                counting.count_marked(run, wait, leased)
            except FAULTS as error:  # a broken record of this job
                note(run.name, error)

    def pack(self) -> None:
        """Put records into packs, day by day."""
        for _ in self._leading.while_held(self._packing.pack()):
            pass

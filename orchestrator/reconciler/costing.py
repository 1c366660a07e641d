"""Measure what open runs cost, for the quotas, once `prepare` has planned them.

Until then an estimate counts. A run is measured once, and again if Redis has lost the figure.
"""

from __future__ import annotations

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.jobs.costing import cost_of
from orchestrator.reconciler.leading import Leading
from tasks.artifacts import ArtifactMissing

COSTS_SECONDS = 2.0


class Costing:
    """Replaces estimates by figures."""

    def __init__(self, cluster: Cluster, leading: Leading) -> None:
        self._cluster = cluster
        self._leading = leading

    def measure(self) -> None:
        """Measure each run that is planned by now.

        Raises LeadLost, redis.RedisError and what the store raises; the next call goes on.
        """
        cluster = self._cluster
        runs = cluster.jobs.unmeasured()
        counts = cluster.ledger.counts(runs)
        begun = [run for run, (receipts, _) in zip(runs, counts, strict=True) if receipts]
        for run in self._leading.while_held(begun):
            try:
                plan = cluster.plan(run.tenant, run.job)
                if plan is None:  # `prepare` has failed: the run ends, or has ended, without one
                    cluster.jobs.drop_cost(run)
                    continue
                manifest = cluster.records.manifest(run.tenant, run.job)
                cluster.jobs.put_cost(run, cost_of(cluster, manifest, plan))
            except ArtifactMissing:  # it is being deleted
                continue
            except FAULTS as error:
                note(run.name, error)

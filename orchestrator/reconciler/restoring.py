"""Compare Redis with the store, now and then and after a wipe, and give back what it lacks.

The loop goes on meanwhile: each run that is back is surveyed by its next pass.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress

import structlog

from orchestrator.access.tenants import known_tenants
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job_index import known_jobs, newest_run, open_runs
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.reconciler.leading import Leading
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.records import given_up
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state.receipts import Receipt

log = structlog.get_logger(__name__)


class Restoring:
    """Restores Redis from the store: every open run, or without `adopt` only those in `seen`."""

    def __init__(self, cluster: Cluster, leading: Leading, *, adopt: bool) -> None:
        self._cluster = cluster
        self._leading = leading
        self._adopt = adopt  # take up runs that others left open
        self.seen: Collection[Run] = frozenset()  # those that were open at the last pass

    def restore(self) -> None:
        """Compare once, the most urgent first: open runs, what is owed, jobs that have ended.

        Raises LeadLost, redis.RedisError and what the store raises; the next call begins anew.
        """
        jobs = self._cluster.jobs
        wiped = jobs.is_wiped()
        self._restore_open_runs()
        if wiped:  # from here on the load can be measured
            jobs.restored(lists_ended=not self._adopt)
        if self._adopt:
            self._cluster.outbox.restore()
            if jobs.lacks_ended():
                self._list_ended_jobs()

    def _restore_open_runs(self) -> None:
        jobs = self._cluster.jobs
        known = set(jobs.open_runs())
        for run in self._leading.while_held(open_runs(self._cluster.store)):
            is_ours = self._adopt or run in self.seen
            if is_ours and run not in known and not jobs.is_open(run):  # it may be a new one
                try:
                    self._restore(run)
                except FAULTS as error:
                    note(run.name, error)

    def _list_ended_jobs(self) -> None:
        """Index every job of the store, if Redis was not wiped again meanwhile."""
        cluster = self._cluster
        for tenant in known_tenants(cluster.store, cluster.settings):
            for job in self._leading.while_held(known_jobs(cluster.store, tenant)):
                with suppress(UnknownJob):  # it is being deleted
                    cluster.job(tenant, job)
        if cluster.jobs.lacks_ended():
            cluster.jobs.restored()

    def _restore(self, run: Run) -> None:
        cluster = self._cluster
        if exists(cluster.store, keys.tombstone(run.tenant, run.job)):
            return
        try:
            manifest = cluster.records.manifest(run.tenant, run.job)
        except ArtifactMissing:
            return  # a submission that was not accepted
        log.info("run_restored", run=run.name)
        if exists(cluster.store, keys.of_run(run, "canceled")):
            cluster.cancellations.flag(run)
        newest = newest_run(cluster.store, run.tenant, run.job)
        newest = newest if newest.number > run.number else run
        # The receipts first: once the run is in the index a pass looks at what it needs.
        if cluster.plan(run.tenant, run.job) is not None:
            cluster.ledger.record(
                run.unit(Stage.PREPARE), Receipt("cached", finished_at=time.time())
            )
        for stage, index in given_up(cluster.store, run):
            cluster.ledger.record(run.unit(stage, index), Receipt("failed"))
        cluster.jobs.add(manifest, newest)
        cluster.settle(run)

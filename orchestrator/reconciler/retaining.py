"""Walk over the jobs that are old enough for a rule of retention, oldest first, and apply it.

A pass works for PASS_SECONDS at most and goes on where the last one stopped; a walk over all
tenants begins WALK_SECONDS after the last one has ended. Ids sort by time, so young jobs are not
looked at. The place is kept in memory alone: what was deleted is not met again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, takewhile

from orchestrator.access.tenants import known_tenants
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job_folder import JobFolder, job_folders
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.jobs.retention import Retention, ages
from orchestrator.reconciler.leading import Leading
from tasks.telemetry.metrics import RETENTION_DELETED, RETENTION_ERRORS, RETENTION_SECONDS

PASS_SECONDS = 20.0  # of work in one pass
WALK_SECONDS = 3600.0  # between the end of a walk and the next one
PAGE = 64  # jobs that are looked at before the time is
THREADS = 8


class Retaining:
    """The walk. It does nothing without rules, and nothing after a wipe until Redis is restored."""

    def __init__(
        self, cluster: Cluster, leading: Leading, clock: Callable[[], float] = time.time
    ) -> None:
        self._cluster = cluster
        self._leading = leading
        self._retention = Retention(cluster, clock)
        self._tenant, self._job = "", ""  # where the next pass goes on
        self._rests_until = float("-inf")

    def sweep(self) -> None:
        """Make one pass. Raises LeadLost, redis.RedisError and what the store raises."""
        began = time.monotonic()
        if not self._cluster.settings.retention or began < self._rests_until:
            return
        if self._cluster.jobs.is_wiped():
            return
        with RETENTION_SECONDS.time():
            self._walk(began)

    def _walk(self, began: float) -> None:
        for tenant in self._leading.while_held(known_tenants(self._cluster.store, self._tenant)):
            after = self._job if tenant == self._tenant else ""
            self._tenant, self._job = tenant, after
            if not ages(self._cluster.settings, tenant):
                continue
            folders = takewhile(
                lambda it: not self._retention.is_young(it.tenant, it.job),
                job_folders(self._cluster.store, tenant, after),
            )
            while page := list(islice(folders, PAGE)):
                with ThreadPoolExecutor(THREADS, "retention") as threads:
                    list(threads.map(self._apply, self._leading.while_held(page)))
                self._job = page[-1].job
                if time.monotonic() - began > PASS_SECONDS:
                    return
        self._tenant, self._job = "", ""
        self._rests_until = time.monotonic() + WALK_SECONDS

    def _apply(self, folder: JobFolder) -> None:
        """Apply the rules to a job; what cannot be read of it is its own trouble."""
        try:
            for gone in self._retention.apply(folder):
                RETENTION_DELETED.labels(gone.kind).inc(gone.artifacts)
        except FAULTS as error:
            RETENTION_ERRORS.inc()
            note(f"{folder.tenant}/{folder.job}", error)

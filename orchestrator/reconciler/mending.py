"""Make sound what the walk over all jobs has found: each is looked at once more by itself first.

What is perhaps just being submitted is left alone, and the walk comes again for it.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import structlog

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job_folder import JobFolder
from orchestrator.reconciler.restoring import Restoring
from orchestrator.soundness.collections import look_at_collection
from orchestrator.soundness.findings import Finding, Kind, collection_findings, job_findings
from orchestrator.soundness.jobs import SETTLED_SECONDS, SUBMITTING_SECONDS, look_at_job
from orchestrator.soundness.mending import mend
from tasks.artifacts import exists
from tasks.runs import keys

OLD = float("inf")  # as the time of a look: no job is young then
log = structlog.get_logger(__name__)


class Mending:
    """Mends jobs and collections. Methods raise what `Restoring.restore` raises."""

    def __init__(self, cluster: Cluster, restoring: Restoring, clock: Callable[[], float]) -> None:
        self._store = cluster.store
        self._restoring = restoring
        self._clock = clock
        self._lock = Lock()  # many are mended at once
        self._again_at: float | None = None

    def again_at(self, known: float | None) -> float | None:
        """Return when the walk has to come again: `known`, or sooner for what was left alone."""
        with self._lock:
            times = [it for it in (known, self._again_at) if it is not None]
            self._again_at = None
        return min(times, default=None)

    def mend_job(self, folder: JobFolder) -> None:
        """Mend a job that looked unsound in a listing."""
        if self._restoring.is_submitting(folder):
            if not exists(self._store, keys.open_run(folder.newest)):
                self._come_again(SUBMITTING_SECONDS)
            return
        if not folder.is_accepted and self._restoring.is_young(folder):
            self._come_again(SETTLED_SECONDS)
            return
        facts = look_at_job(self._store, folder.tenant, folder.job, now=OLD)
        for finding in job_findings(facts):
            if finding.kind is Kind.RUN_NOT_OPEN:
                self._restoring.reopen(facts.folder)
            else:
                self._mend(finding)

    def mend_collection(self, tenant: str, name: str) -> None:
        """Look at a collection, and mend it."""
        facts = look_at_collection(self._store, tenant, name, self._restoring.now())
        if facts is None or not collection_findings(facts):
            return
        facts = look_at_collection(self._store, tenant, name, self._restoring.now())
        for finding in collection_findings(facts) if facts is not None else ():
            self._mend(finding)

    def _mend(self, finding: Finding) -> None:
        log.warning("unsound", kind=finding.kind, artifact=finding.key, action=finding.action)
        mend(self._store, finding)

    def _come_again(self, seconds: float) -> None:
        with self._lock:
            at = self._clock() + seconds
            self._again_at = min(at, self._again_at or at)

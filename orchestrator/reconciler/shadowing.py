"""Make the shadows that are due, and remove those whose job is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from gpu_worker.errors import InvalidOption, ModelNotTrusted, UnknownModel
from orchestrator.access import BudgetSpent, ClusterFull, QuotaExceeded
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job_folder import job_folders
from orchestrator.cluster.shadows import DUE, MADE, SHADOW_TENANT, shadow_job
from orchestrator.cluster.unreadable import FAULTS, note, parsed_runs
from orchestrator.jobs.deletion import remove_job
from orchestrator.jobs.shadow import Shadow, make_shadow, shadow_of
from orchestrator.reconciler.leading import Leading
from tasks.runs.units import Run, created_at

SHADOWS_SECONDS = 5.0  # between looks at the shadows that are due
ORPHANS_SECONDS = 3600.0  # between looks for shadows whose job is gone
KEPT_SECONDS = 7 * 24 * 3600.0  # how long a shadow may be due, while there is no room for it
log = structlog.get_logger(__name__)


class Shadowing:
    """Two duties. Each raises LeadLost, redis.RedisError and the store's errors."""

    def __init__(
        self, cluster: Cluster, leading: Leading, clock: Callable[[], float] = time.time
    ) -> None:
        self._cluster = cluster
        self._leading = leading
        self._clock = clock
        self._not_valid = ""  # why no shadow can be made: said once, not at every look

    def make(self) -> None:
        """Make the shadows that are due, while there is room for them."""
        try:
            shadow = shadow_of(self._cluster.settings)
        except (InvalidOption, ModelNotTrusted, UnknownModel) as error:
            # Commands tell it at their start.
            if self._not_valid != error.message:
                log.warning("shadow_not_valid", reason=error.message)
            self._not_valid = error.message
            return
        self._not_valid = ""
        if shadow is None or self._cluster.jobs.is_wiped():  # how many are open is not known
            return
        listed = self._cluster.store.list(DUE)
        for run in self._leading.while_held(parsed_runs(listed, DUE)):
            try:
                if not self._make(run, shadow):
                    return
            except FAULTS as error:
                note(run.name, error)

    def _make(self, run: Run, shadow: Shadow) -> bool:
        """Make one, and remove its mark; return False if there is no room for more."""
        created = created_at(run.job)
        is_old = created is not None and self._clock() - created > KEPT_SECONDS
        try:
            if not is_old and make_shadow(self._cluster, run, shadow):
                log.info("shadow_made", run=run.name, shadow=shadow_job(run.tenant, run.job))
        except (BudgetSpent, ClusterFull, QuotaExceeded):
            return False
        self._cluster.store.delete(DUE + run.name)
        return True

    def remove_orphans(self) -> None:
        """Remove shadows that no entry stands for: their job was deleted while they were made.

        An entry is written before its shadow, so the shadows are listed first.
        """
        folders = list(job_folders(self._cluster.store, SHADOW_TENANT))
        if not folders:
            return
        entries = parsed_runs(self._cluster.store.list(MADE), MADE)
        known = {shadow_job(run.tenant, run.job) for run in entries}
        for folder in self._leading.while_held(folders):
            if folder.job not in known:
                log.info("shadow_removed", shadow=folder.job)
                remove_job(self._cluster, SHADOW_TENANT, folder.job)

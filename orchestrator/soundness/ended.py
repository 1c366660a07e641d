"""Look at what a job that has ended leaves behind: its use, its deliveries, its place in the index.

Most of it is told by names. A result is read where names cannot tell the status, and a manifest
where the job is so young that a copy may have missed what it owes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from orchestrator.cluster.ended_jobs import EndedJobs
from orchestrator.cluster.job import Status, Summary
from orchestrator.cluster.unreadable import FAULTS
from orchestrator.jobs.lifecycle import BUDGET_DAYS
from orchestrator.soundness.findings import EndFacts, JobFacts
from orchestrator.soundness.names import Names
from orchestrator.usage.accounts import Pack
from orchestrator.usage.reading import UsageReader
from tasks.artifacts import ArtifactStore, exists
from tasks.runs import keys, usage_keys
from tasks.runs.json_artifacts import read_record
from tasks.runs.records import Records
from tasks.runs.units import Run, created_at

DAY_SECONDS = 24 * 3600.0
# Of jobs that are so much older than the newest one, deliveries are not looked for: a copy takes
# less, and most jobs owe none, so that each would cost a read.
OWING_SECONDS = DAY_SECONDS


class Ends:
    """What jobs have left that have ended."""

    def __init__(
        self, store: ArtifactStore, records: Records, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._records = records
        self._ended = EndedJobs(store, records)
        self._reader = UsageReader(store)
        self._clock = clock
        self._packed = Names()
        self._packs: set[str] = set()
        self._newest: dict[str, float] = {}

    def look(self, facts: JobFacts, listed: Collection[Status] | None = None) -> EndFacts:
        """Look at a job whose newest run has its result and is closed; `listed`: in the index."""
        folder, run = facts.folder, facts.newest
        place = self._ended.place(run.tenant, run.job)
        if listed is None:
            found = self._ended.between  # of one job: by its time
            listed = {
                status
                for status in Status
                if status.final
                and any(job == run.job for _, job in found(run.tenant, status, *2 * (place[0],)))
            }
        is_plain = folder.is_completed and set(listed) == {Status.COMPLETED}
        return EndFacts(
            run,
            is_counted=self._is_counted(facts),
            owes=self._owes(facts),
            status=Status.COMPLETED if is_plain else self._status(run),
            listed=frozenset(listed),
            place=place,
            now=self._clock(),
        )

    def _status(self, run: Run) -> Status | None:
        try:
            key = keys.of_run(run, keys.RESULT)
            return read_record(self._store, key, Summary.of_result).status
        except FAULTS:
            return None

    def _is_counted(self, facts: JobFacts) -> bool:
        """Tell whether the use of a run is written down, or will be.

        Of a run without timings it cannot be told: what has computed nothing has no record. Packs
        may be deleted after BUDGET_DAYS.
        """
        run = facts.newest
        since = self._clock() - (BUDGET_DAYS - 1) * DAY_SECONDS
        if not facts.folder.has(run, "timings.json") or (created_at(run.job) or 0.0) < since:
            return True
        if usage_keys.uncounted(run) in facts.elsewhere:
            return True
        if run.name in self._packed or exists(self._store, usage_keys.used(run)):
            return True
        self._read_packs()  # the record was packed just now
        return run.name in self._packed

    def _read_packs(self) -> None:
        first = time.strftime(
            "%Y-%m-%d", time.gmtime(self._clock() - (BUDGET_DAYS + 1) * DAY_SECONDS)
        )
        for key in self._reader.pack_keys(first, "9"):
            if key not in self._packs:
                self._packs.add(key)
                self._packed.add_all(_names(self._store, key))

    def _owes(self, facts: JobFacts) -> bool:
        """Tell whether a part that the job wants has no outcome, and is not owed."""
        run, created = facts.newest, created_at(facts.newest.job)
        if keys.owed(run) in facts.elsewhere:
            return False
        if run.tenant not in self._newest:
            newest = self._ended.newest(run.tenant, 1)
            self._newest[run.tenant] = newest[0][0] if newest else self._clock()
        if created is not None and created < self._newest[run.tenant] - OWING_SECONDS:
            return False
        try:
            manifest = self._records.manifest(run.tenant, run.job)
        except FAULTS:
            return False
        parts = {"output": manifest.output, "webhook": manifest.webhook_url}
        wanted = [part for part, place in parts.items() if place]
        return not all(facts.folder.has(run, f"delivery/{part}.json") for part in wanted)


def _names(store: ArtifactStore, key: str) -> frozenset[str]:
    """Return the runs of a pack; of one that cannot be read none."""
    try:
        return read_record(store, key, Pack.of_artifact).names
    except FAULTS:
        return frozenset()

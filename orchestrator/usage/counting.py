"""Write the record of what a run used, where `assemble` has not written it.

`assemble` writes it before it commits a result. A run that ends otherwise gets a marker before it
is closed; the reconciler makes the record from the artifacts, and takes the marker away. Until
then units that were running when the run was canceled may still write artifacts, which count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator

import structlog

from tasks.artifacts import ArtifactMissing, ArtifactStore, encode, exists
from tasks.runs import keys, usage_keys
from tasks.runs.json_artifacts import UnreadableRecord, read_record
from tasks.runs.records import Records
from tasks.runs.units import Run
from tasks.usage.evidence import Evidence
from tasks.usage.record import run_usage

log = structlog.get_logger(__name__)


class Counting:
    """Markers and records of one store. Methods raise what the store raises."""

    def __init__(
        self, store: ArtifactStore, records: Records, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._records = records
        self._evidence = Evidence(store, records)
        self._clock = clock

    def note_end(self, run: Run) -> None:
        """Mark a run that ends, if it has no record; called before its open marker goes.

        A run that is settled again, as after a wipe of Redis, has no open marker any more.
        """
        if exists(self._store, usage_keys.used(run)):
            return
        if exists(self._store, keys.open_run(run)):
            marker = encode({"ended_at": round(self._clock(), 3)})
            self._store.put(usage_keys.uncounted(run), marker)

    def uncounted(self) -> Iterator[Run]:
        """Yield the runs that have a marker."""
        for key in self._store.list(usage_keys.UNCOUNTED):
            try:
                yield Run.parse(key.removeprefix(usage_keys.UNCOUNTED))
            except ValueError:
                log.warning("record_unreadable", record=key, reason="it is no run's name")

    def count_marked(self, run: Run, wait_seconds: float, leased: Collection[str]) -> bool:
        """Write the record of a marked run and remove the marker; return whether it was due.

        It is due when so many seconds have passed since its end and none of its units is leased.
        """
        try:
            key = usage_keys.uncounted(run)
            ended_at = read_record(self._store, key, lambda data: float(data["ended_at"]))
        except ArtifactMissing:  # another process has counted it
            return True
        if self._clock() - ended_at < wait_seconds or self._is_worked_on(run, leased):
            return False
        self.count(run, ended_at)
        self._store.delete(key)
        return True

    def count(self, run: Run, ended_at: float) -> None:
        """Write the record of a run from its artifacts, unless there is one or its job is gone.

        A job that was deleted was counted before anything of it was removed.
        """
        if exists(self._store, usage_keys.used(run)):
            return
        if not exists(self._store, keys.manifest(run.tenant, run.job)):
            return
        try:
            receipts = self._evidence.receipts(run)
            labels = self._records.manifest(run.tenant, run.job).labels
        except UnreadableRecord as error:
            log.warning("usage_unreadable", run=run.name, reason=str(error))
            return
        usage = run_usage(run, receipts, ended_at, cached_until=ended_at, labels=labels)
        if usage.figures:  # of what used nothing there is nothing to write down
            self._store.put(usage_keys.used(run), usage.to_bytes())

    def _is_worked_on(self, run: Run, leased: Collection[str]) -> bool:
        return bool(leased) and any(key in leased for key in self._evidence.unit_keys(run))

"""Read the audit trail by day, tenant, job and action."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import structlog

from orchestrator.trail.entry import FOLDER, Entry, folder
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are read; None: all."""

    tenant: str | None = None
    job: str | None = None
    action: str | None = None  # whole, or its first part: `key` for all that begin with `key.`

    def has(self, entry: Entry) -> bool:
        """Tell whether the entry is one of these."""
        parts = (entry.action, entry.action.partition(".")[0])
        return (
            (self.tenant is None or entry.tenant == self.tenant)
            and (self.job is None or self.job in (entry.job, entry.details.get("of")))
            and (self.action is None or self.action in parts)
        )


def entries(store: ArtifactStore, first: date, last: date, wanted: Wanted) -> Iterator[Entry]:
    """Yield the entries of these days and all between, each day's in the order of their times.

    A day is held in memory. Raises the store's errors.
    """
    for day in _days(store, first, last):
        of_day = [entry for key in store.list(folder(day)) for entry in _batch(store, key)]
        yield from sorted(filter(wanted.has, of_day), key=lambda entry: entry.at)


def _days(store: ArtifactStore, first: date, last: date) -> Iterator[str]:
    """Yield the days between these that have entries, as `2026-11-29`; each costs one request."""
    after = FOLDER + first.isoformat()
    while found := store.first(FOLDER, 1, after):
        day = found[0].removeprefix(FOLDER).partition("/")[0]
        if day > last.isoformat():
            return
        yield day
        after = keys.behind(folder(day))


def _batch(store: ArtifactStore, key: str) -> Iterator[Entry]:
    try:
        text = store.get(key).decode("utf-8", "replace")
    except ArtifactMissing:  # an operator's lifecycle rule has just removed it
        return
    for line in text.splitlines():
        try:
            yield Entry.of_json(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError):
            log.warning("audit_line_unreadable", artifact=key)

"""Records that this process cannot read: a newer release's, or broken ones.

They are their own run's trouble and no other's: who meets one notes it here and goes on. Each is
logged and counted once in a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import structlog
from cachetools import LRUCache

from tasks.artifacts import ArtifactMissing
from tasks.runs.json_artifacts import UnreadableRecord
from tasks.runs.units import Run

# What reading a record may raise. An outage of the store or of Redis is none of these.
FAULTS = (
    *(UnreadableRecord, ValueError, TypeError, AttributeError, LookupError),
    *(OverflowError, RecursionError),
)
_noted: LRUCache[str, bool] = LRUCache(10_000)
log = structlog.get_logger(__name__)


def note(name: str, error: Exception) -> None:
    """Log and count what cannot be read, once; `name` is the run's, the unit's or the key's."""
    if name in _noted:
        return
    _noted[name] = True
    if isinstance(error, ArtifactMissing):
        log.warning("record_missing", record=name, artifact=str(error))
        return
    from tasks.telemetry.metrics import UNREADABLE_RECORDS  # most commands do not need it

    UNREADABLE_RECORDS.inc()
    of_ours = not isinstance(error, UnreadableRecord)  # it may be a bug: with its traceback
    log.warning("record_unreadable", record=name, reason=str(error), exc_info=of_ours)


def forget() -> None:
    """Forget what was noted, for tests."""
    _noted.clear()


def parsed_runs(names: Iterable[str], folder: str = "") -> Iterator[Run]:
    """Yield the runs of names, or of keys below a folder; note and pass over stray ones."""
    for name in names:
        try:
            yield Run.parse(name.removeprefix(folder))
        except ValueError as error:
            note(name, error)

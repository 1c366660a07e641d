"""Put the records of ended runs into packs, so that to add up a month is few requests.

A pack is written once, under the next number of its day, and then its records are removed. A
process that dies in between leaves records that are in a pack too: by their names they are known,
counted once, and removed at the next time. Two processes that pack at once want the same number,
so that one of them has written nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from orchestrator.usage.accounts import Pack
from orchestrator.usage.reading import UsageReader
from tasks.artifacts import ArtifactStore
from tasks.runs import keys, usage_keys
from tasks.usage.record import RunUsage

PACK_RUNS = 1000  # in a full pack
REST_SECONDS = 3600.0  # that a record stays by itself: its run's other processes have ended


class Packing:
    """Packs the records of one store. Methods raise what the store raises."""

    def __init__(
        self,
        store: ArtifactStore,
        reader: UsageReader,
        *,
        pack_runs: int = PACK_RUNS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._reader = reader
        self._pack_runs = pack_runs
        self._clock = clock

    def pack(self) -> Iterator[str]:
        """Pack what is due, day by day; yield each day before it is looked at.

        Of the day that is not over, only full packs are written.
        """
        now = self._clock()
        records = self._reader.records()
        # The markers are read after the records: a run without one stays without one.
        busy = self._marked(keys.OPEN) | self._marked(usage_keys.UNCOUNTED)
        due = [
            it for it in records if now - it.ended_at >= REST_SECONDS and it.run.name not in busy
        ]
        due.sort(key=lambda record: (record.day, record.run.name))
        for day, found in groupby(due, key=lambda record: record.day):
            yield day
            self._pack_day(day, list(found), is_over=now >= _end_of(day) + REST_SECONDS)

    def _pack_day(self, day: str, records: Sequence[RunUsage], *, is_over: bool) -> None:
        number, packed = self._reader.packed(day)
        fresh = [record for record in records if record.run.name not in packed]
        self._remove(record for record in records if record.run.name in packed)
        while len(fresh) >= self._pack_runs or (fresh and is_over):
            some, fresh = fresh[: self._pack_runs], fresh[self._pack_runs :]
            if not self._store.put(usage_keys.pack(day, number), Pack.of(some).to_bytes()):
                return  # another process packs too
            number += 1
            self._remove(some)

    def _remove(self, records: Iterable[RunUsage]) -> None:
        for record in records:
            self._store.delete(usage_keys.used(record.run))

    def _marked(self, folder: str) -> set[str]:
        return {key.removeprefix(folder) for key in self._store.list(folder)}


def _end_of(day: str) -> float:
    """Return when a day in UTC is over, in seconds since 1970."""
    return (datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)).timestamp()

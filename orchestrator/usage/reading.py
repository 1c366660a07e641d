"""Read what runs used: the records that are by themselves, and those in packs.

A record is in a pack before it is removed, so it may be in both for a moment: then the pack
counts. Records and packs never change; what a process has read it keeps in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock

import structlog
from cachetools import LRUCache

from orchestrator.usage.accounts import Account, Accounts, Pack, add_record
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import usage_keys
from tasks.runs.json_artifacts import UnreadableRecord, read_record
from tasks.usage.record import RunUsage

READERS = 16  # artifacts fetched at once
REMEMBERED_RECORDS = 20_000
REMEMBERED_PACKS = 5_000  # without the names of their runs: those are many
REMEMBERED_NAMES = 64  # packs
_NO_NAMES: frozenset[str] = frozenset()
log = structlog.get_logger(__name__)


class UsageReader:
    """Reads one store. Any number of threads may use it; methods raise what the store raises."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._lock = Lock()
        self._records: LRUCache[str, RunUsage] = LRUCache(REMEMBERED_RECORDS)
        self._packs: LRUCache[str, Pack] = LRUCache(REMEMBERED_PACKS)
        self._names: LRUCache[str, frozenset[str]] = LRUCache(REMEMBERED_NAMES)

    def accounts(self, first: str, last: str, tenant: str | None = None) -> Accounts:
        """Return what was used from one day to another, both included; of one tenant if given."""
        # The records first: one that is packed meanwhile is then found at both places.
        records = [it for it in self.records(tenant) if first <= it.day <= last]
        days = {record.day for record in records}
        found: Accounts = {}
        packed: set[str] = set()
        for day, pack in self.packs(first, last, days):
            packed |= pack.names
            for name, account in pack.tenants.items():
                if tenant in (None, name):
                    found.setdefault((day, name), Account()).merge(account)
        for record in records:
            if record.run.name not in packed:
                add_record(found, record)
        return found

    def records(self, tenant: str | None = None) -> list[RunUsage]:
        """Return the records that are by themselves."""
        folder = usage_keys.RUNS + (f"{tenant}/" if tenant else "")
        with ThreadPoolExecutor(READERS, "usage") as pool:
            found = pool.map(self._record, self._store.list(folder))
            return [record for record in found if record is not None]

    def packs(
        self, first: str, last: str, days_with_names: Iterable[str] = ()
    ) -> Iterator[tuple[str, Pack]]:
        """Yield the packs of some days, each with its day; the names of runs only where asked."""
        with_names = frozenset(days_with_names)

        def read(key: str) -> tuple[str, Pack] | None:
            day = usage_keys.day_of(key)
            pack = self._pack(key, with_names=day in with_names)
            return (day, pack) if pack is not None else None

        with ThreadPoolExecutor(READERS, "usage") as pool:
            found = pool.map(read, self.pack_keys(first, last))
            yield from (it for it in found if it is not None)

    def packed(self, day: str) -> tuple[int, frozenset[str]]:
        """Return the number of a day's packs, and the names of all runs in just these.

        Raises UnreadableRecord if one of them cannot be read: what is in it is not known.
        """
        listed = list(self.pack_keys(day, day))
        names = frozenset[str]()
        for key in listed:
            pack = self._pack(key, with_names=True)
            if pack is None:
                raise UnreadableRecord(f"{key} cannot be read.")
            names |= pack.names
        return len(listed), names

    def pack_keys(self, first: str, last: str) -> Iterator[str]:
        """Yield the keys of the packs of some days."""
        for key in self._store.list(usage_keys.DAYS, after=usage_keys.DAYS + first):
            if usage_keys.day_of(key) > last:
                return
            yield key

    def _record(self, key: str) -> RunUsage | None:
        with self._lock:
            known = self._records.get(key)
        if known is not None:
            return known
        try:
            run = usage_keys.run_of(key)
            record = read_record(self._store, key, lambda data: RunUsage.of_artifact(run, data))
        except ArtifactMissing:  # packed just now
            return None
        except (ValueError, UnreadableRecord) as error:
            log.warning("usage_unreadable", artifact=key, reason=str(error))
            return None
        with self._lock:
            self._records[key] = record
        return record

    def _pack(self, key: str, *, with_names: bool) -> Pack | None:
        with self._lock:
            known, names = self._packs.get(key), self._names.get(key)
        if known is not None and (names is not None or not with_names):
            return replace(known, names=names) if with_names and names is not None else known
        try:
            pack = read_record(self._store, key, Pack.of_artifact)
        except (ArtifactMissing, UnreadableRecord) as error:
            log.error("usage_unreadable", artifact=key, reason=str(error))
            return None
        with self._lock:
            self._packs[key] = replace(pack, names=_NO_NAMES)
            if with_names:
                self._names[key] = pack.names
        return pack

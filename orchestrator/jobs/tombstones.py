"""Complete deletions: remove what running tasks have written of a deleted job.

A tombstone stays until no unit of its job was leased for a while, and two sweeps in a row have
found nothing of the job.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock

import structlog

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job_index import newest_run
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.jobs.deletion import SHARED, Tombstone, erase, without_notes
from tasks.artifacts import ArtifactMissing
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord

LINGER_LEASES = 2.0  # a tombstone stays at least this many times as long as a lease lasts
THREADS = 16  # tombstones that are looked at at once
log = structlog.get_logger(__name__)


class Tombstones:
    """Sweeps the tombstones; the leading reconciler calls it now and then.

    Of ten thousand deletions most leave nothing. So a sweep lists each job's folder once and erases
    what is left of it; what tasks in flight have written elsewhere is looked for once, when the
    tombstone is old enough to be removed.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._clock = clock
        self._stones: dict[str, Tombstone] = {}  # by key, as they were read
        self._quiet: set[str] = set()  # keys of tombstones for which the last look found nothing

    def sweep(self) -> None:
        """Erase again what deleted jobs have left, and remove tombstones that are old enough.

        Raises redis.RedisError and what the store raises.
        """
        found = set(self._cluster.store.list(keys.DELETED))
        self._quiet &= found
        self._stones = {key: stone for key, stone in self._stones.items() if key in found}
        now = self._clock()
        due = [key for key in sorted(found) if self._is_due(key, now)]
        if not due:
            return
        leased = self._cluster.leases.names()
        outside = self._outside()
        locks: defaultdict[str, Lock] = defaultdict(Lock)

        def look(key: str) -> None:
            try:
                stone = self._stone(key, now)
                with ExitStack() as turn:
                    # Two releases of one content would give way to each other at every sweep.
                    for content in sorted(stone.contents):  # in one order: no deadlock
                        turn.enter_context(locks[f"{stone.tenant}/{content}"])
                    self._look(stone, leased, outside)
            except ArtifactMissing:  # another reconciler has removed it
                pass
            except FAULTS as error:  # a stray object, or a broken record of this job
                note(key, error)

        with ThreadPoolExecutor(THREADS, "deletions") as threads:
            begun = [threads.submit(look, key) for key in due]
            try:
                for future in begun:
                    future.result()
            finally:
                threads.shutdown(cancel_futures=True)

    def _is_due(self, key: str, now: float) -> bool:
        stone = self._stones.get(key)
        return stone is None or key not in self._quiet or self._is_old(stone, now)

    def _is_old(self, stone: Tombstone, now: float) -> bool:
        linger_seconds = self._cluster.settings.lease_seconds * LINGER_LEASES
        return now - stone.deleted_at >= linger_seconds

    def _outside(self) -> dict[str, list[str]]:
        """Return the keys in the folders that all jobs share, by tenant and job."""
        found: dict[str, list[str]] = {}
        for folder in SHARED:
            for key in self._cluster.store.list(folder):
                parts = key.removeprefix(folder).split("/")
                if len(parts) > 2:
                    found.setdefault(f"{parts[0]}/{parts[1]}", []).append(key)
        return found

    def _stone(self, key: str, now: float) -> Tombstone:
        """Return the tombstone; one that may be removed is read once more.

        Its job may have got another one since: `store repair` buries what a deletion did not know
        of, and another reconciler may have removed the first.
        """
        known = self._stones.get(key)
        if known is not None and not self._is_old(known, now):
            return known
        stone = self._read(key)
        if stone != known:
            self._quiet.discard(key)
        self._stones[key] = stone
        return stone

    def _read(self, key: str) -> Tombstone:
        """Read a tombstone. One that cannot be read stands for a deletion all the same."""
        store = self._cluster.store
        tenant, job = key.removeprefix(keys.DELETED).split("/")
        try:
            return Tombstone.read(store, tenant, job)
        except UnreadableRecord as error:
            note(key, error)
            return Tombstone(tenant, job, 0.0, newest_run(store, tenant, job).number, {})

    def _look(
        self, stone: Tombstone, leased: Sequence[str], outside: Mapping[str, Sequence[str]]
    ) -> None:
        store, tenant, job = self._cluster.store, stone.tenant, stone.job
        own = list(store.list(keys.job(tenant, job)))
        elsewhere = outside.get(f"{tenant}/{job}", ())
        rest = without_notes(tenant, job, own)
        notes = [key for key in own if key not in rest]
        is_old = self._is_old(stone, self._clock())
        gone = 0
        if rest or elsewhere or is_old:
            gone = erase(self._cluster, stone, elsewhere)
        if gone or _is_worked_on(stone, notes, leased):
            log.info("deletion_goes_on", tenant=tenant, job=job, artifacts=gone)
            self._quiet.discard(stone.key)
            return
        if is_old and stone.key in self._quiet:
            mark = keys.releasing(tenant, job)  # of a deletion that died in its first steps
            for key in (*notes, mark, stone.key):
                store.delete(key)
            log.info("job_deleted", tenant=tenant, job=job)
        self._quiet.add(stone.key)


def _is_worked_on(stone: Tombstone, notes: Sequence[str], leased: Sequence[str]) -> bool:
    contents = {*stone.contents, *(key.rpartition("/")[2] for key in notes)}
    folders = [keys.made_of(stone.tenant, content)[1] for content in contents]
    beginnings = (keys.job(stone.tenant, stone.job), *folders)
    return any(key.startswith(beginnings) for key in leased)

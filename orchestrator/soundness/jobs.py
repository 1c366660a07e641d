"""Look at jobs in the store: at one of them, or at all of a tenant in one pass.

The pass merges sorted listings, so that it needs no memory for a job behind it. What it finds is
looked at once more by itself: a listing of a store in use is a mixture of moments too.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from orchestrator.cluster.job_folder import JobFolder, job_folder, job_folders
from orchestrator.jobs.deletion import SHARED
from orchestrator.soundness.findings import JobFacts
from tasks.artifacts import ArtifactStore, exists
from tasks.runs import keys
from tasks.runs.units import created_at

# From a job's manifest to its open marker. One that is opened sooner, and refused then, loses its
# manifest, so that no worker does it and the marker goes at the next look.
SUBMITTING_SECONDS = 60.0
SETTLED_SECONDS = 600.0  # a submission or a deletion in progress is over after this
Keys = Sequence[str]


def look_at_job(store: ArtifactStore, tenant: str, job: str, now: float) -> JobFacts:
    """Look at one job. Its markers are read first: a run that ends meanwhile has its result."""
    elsewhere = [key for it in SHARED for key in store.list(f"{it}{tenant}/{job}/")]
    folder = job_folder(store, tenant, job)
    return JobFacts(
        folder,
        _opened(elsewhere),
        frozenset(elsewhere),
        is_deleted=exists(store, keys.tombstone(tenant, job)),
        is_young=_is_young(folder, now),
    )


def jobs_of(
    store: ArtifactStore, tenant: str, clock: Callable[[], float] = time.time
) -> Iterator[JobFacts]:
    """Yield all jobs of a tenant in the order of their ids, also those of which little is left.

    The folders that all jobs share are listed a little ahead of the jobs' own.
    """
    shared = [_Grouped(store, it, tenant) for it in SHARED]
    buried = keys.tombstone(tenant, "")
    deleted = frozenset(key.removeprefix(buried) for key in store.list(buried))
    folders = _Ahead(job_folders(store, tenant))
    while True:
        heads = [folders.head, *(it.head for it in shared)]
        there = [head for head in heads if head is not None]
        if not there:
            return
        job = min(there, key=lambda it: f"{it}/")  # as keys sort
        elsewhere = [key for it in shared for key in it.take(job)]
        folder = folders.take(job) or JobFolder(tenant, job, frozenset())
        opened, young = _opened(elsewhere), _is_young(folder, clock())
        yield JobFacts(folder, opened, frozenset(elsewhere), job in deleted, young)


def _opened(found: Sequence[str]) -> frozenset[int]:
    names = (key.rpartition("/")[2] for key in found if key.startswith(keys.OPEN))
    return frozenset(int(name) for name in names if name.isdecimal())


def _is_young(folder: JobFolder, now: float) -> bool:
    seconds = SUBMITTING_SECONDS if folder.is_accepted else SETTLED_SECONDS
    return (created_at(folder.job) or 0.0) > now - seconds


class _Ahead:
    """The folders of jobs, with a look at the next one."""

    def __init__(self, folders: Iterator[JobFolder]) -> None:
        self._folders = folders
        self._next = next(folders, None)

    @property
    def head(self) -> str | None:
        return None if self._next is None else self._next.job

    def take(self, job: str) -> JobFolder | None:
        found = self._next
        if found is None or found.job != job:
            return None
        self._next = next(self._folders, None)
        return found


class _Grouped:
    """The keys of a shared folder by the jobs of a tenant, with a look at the next job."""

    def __init__(self, store: ArtifactStore, folder: str, tenant: str) -> None:
        begin = f"{folder}{tenant}/"
        named = ((key.removeprefix(begin).partition("/")[0], key) for key in store.list(begin))
        self._groups = groupby(named, key=lambda it: it[0])
        self._next: deque[tuple[str, list[str]]] = deque(maxlen=1)
        self._read()

    @property
    def head(self) -> str | None:
        return self._next[0][0] if self._next else None

    def take(self, job: str) -> list[str]:
        if self.head != job:
            return []
        _, found = self._next.popleft()
        self._read()
        return found

    def _read(self) -> None:
        for job, group in self._groups:
            self._next.append((job, [key for _, key in group]))
            return

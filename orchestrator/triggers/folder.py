"""A watched folder: each new whole file in it becomes one job, for those without events of S3.

A file is whole when its size and its time have not changed for a while, and not while it was read.
Both are a part of the job's idempotency key, so a file is submitted once, also by a process that
was started again, and a file that was replaced is submitted as another one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import (
    PermanentError,
    ScriptoriumError,
    SourceMissing,
    StoreRefused,
    TransientError,
)
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.admission import room
from orchestrator.jobs.ready_by import due_within
from orchestrator.jobs.sources import display_name, take_file
from orchestrator.jobs.submission import IdempotencyConflict, submit
from orchestrator.jobs.uploads import drop_unused
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.options import JobOptions

UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart")  # of programs that copy
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it is at one moment."""

    path: Path
    size: int  # bytes
    changed_ns: int  # nanoseconds since 1970

    @classmethod
    def of(cls, path: Path) -> Found:
        """Look at a file. Raises OSError."""
        status = path.stat(follow_symlinks=False)
        return cls(path, status.st_size, status.st_mtime_ns)


@dataclass
class WatchedFolder:
    """Submits the files of a folder and of the folders in it; call `look` now and then."""

    cluster: Cluster
    folder: Path
    options: JobOptions
    tenant: str
    settle_seconds: float
    suffixes: Sequence[str] = ()  # with which names end; none: every name
    name: str = ""  # of the folder, in the idempotency keys; by default its path
    ready_within: float | None = None  # seconds from a file's submission, for its `ready_by`
    clock: Callable[[], float] = time.monotonic
    _seen_at: dict[Found, float] = field(default_factory=dict)
    _done: set[Found] = field(default_factory=set)
    _waiting: dict[Found, str] = field(default_factory=dict)  # what is logged of those that wait

    def look(self) -> list[Job]:
        """Submit the files that are whole by now and were not submitted before; return their jobs.

        What cannot be submitted now is tried at the next look. Why a file waits, or is refused, is
        logged once.
        """
        now, there = self.clock(), set(self._files())
        self._done &= there
        self._seen_at = {it: self._seen_at.get(it, now) for it in there}
        self._waiting = {it: why for it, why in self._waiting.items() if it in there}
        jobs = list[Job]()
        quota = quota_of(self.cluster.settings, self.tenant)
        free = room(self.cluster, self.tenant, quota, time.time())
        for found in sorted(there - self._done, key=lambda it: it.changed_ns):
            if len(jobs) >= free:  # the rest waits, and is not read
                break
            if now - self._seen_at[found] < self.settle_seconds:
                continue
            try:
                job = self._submitted(found)
            except StoreRefused:
                raise
            except SourceMissing as error:  # an equal file went with another job: put it again
                self._waits(found, str(error))
            except PermanentError as error:
                log.warning("file_refused", file=str(found.path), reason=str(error))
                self._done.add(found)
            except (TransientError, RedisError) as error:
                self._waits(found, str(error))
                return jobs
            except OSError as error:
                self._waits(found, str(error))
            else:
                self._waiting.pop(found, None)
                if job is not None:
                    jobs.append(job)
        return jobs

    def _waits(self, found: Found, reason: str) -> None:
        if self._waiting.get(found) != reason:
            log.warning("file_waits", file=str(found.path), reason=reason)
        self._waiting[found] = reason

    def _submitted(self, found: Found) -> Job | None:
        """Submit a file; None if it was submitted before, or has changed while it was read."""
        place = found.path.relative_to(self.folder).as_posix()
        named = f"{self.name or self.folder.resolve()}/{place} {found.size} {found.changed_ns}"
        key = "folder " + named.encode("utf-8", "backslashreplace").decode()
        if self._is_known(key):
            self._done.add(found)
            return None
        shown = display_name(found.path.name.encode("utf-8", "replace").decode())
        with found.path.open("rb") as file:
            source = take_file(self.cluster, file, shown, self.tenant)
        try:
            if Found.of(found.path) != found:  # it was written to meanwhile
                drop_unused(self.cluster, self.tenant, source)
                return None
            job = submit(
                self.cluster,
                source,
                self.options,
                tenant=self.tenant,
                idempotency_key=key,
                ready_by=due_within(self.ready_within, time.time()),
                quota=quota_of(self.cluster.settings, self.tenant),
                way="folder",
            )
        except IdempotencyConflict:  # another process has submitted it with other options
            self._done.add(found)
            return None
        except (ScriptoriumError, OSError):
            drop_unused(self.cluster, self.tenant, source)
            raise
        self._done.add(found)
        return job

    def _is_known(self, key: str) -> bool:
        """Return whether a process has submitted it before; then the file is not read again."""
        store = self.cluster.store
        try:
            job = store.get(keys.idempotency(self.tenant, key)).decode()
        except ArtifactMissing:
            return False
        first = f"{self.tenant}/{job}/1"
        is_open = exists(store, f"{keys.OPEN}{first}")
        return exists(store, keys.manifest(self.tenant, job)) and (
            is_open or any(store.list(keys.runs(self.tenant, job)))
        )

    def _files(self) -> Iterator[Found]:
        for directory, folders, names in os.walk(self.folder):
            folders[:] = [it for it in folders if not it.startswith(".")]
            for name in names:
                is_wanted = name.endswith(tuple(self.suffixes)) if self.suffixes else True
                if name.startswith(".") or name.endswith(UNFINISHED) or not is_wanted:
                    continue
                path = Path(directory, name)
                try:
                    found = Found.of(path)
                except OSError:  # it is gone
                    continue
                if found.size and path.is_file() and not path.is_symlink():
                    yield found

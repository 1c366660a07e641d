"""Reference counts of shared contents: a source, an upload, or an audio and what is made of it.

A job writes a claim before it looks for the content; the last release deletes the content. The
store alone decides: a release writes a mark before it lists the claims, and a claim looks for
marks after it is written. So of a claim and a release at the same time at least one sees the
other, since a store shows what was written at once. A release looks for its mark and for new
claims again and again while it deletes, and stops if either has changed.

A mark whose release died is removed by the next claim or release after STALE_SECONDS. The leases
in Redis are for processes of earlier releases of Scriptorium, which know no marks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError, StoreUnavailable
from tasks.artifacts import ArtifactMissing, ArtifactStore, encode, exists
from tasks.runs import keys
from tasks.state.leases import Leases

PATIENCE_SECONDS = 5.0  # for a release in progress
LOOK_EVERY = 50  # deleted artifacts: then a release looks whether it may go on
LOOK_SECONDS = 1.0  # or after this time
HOLD_SECONDS = 120.0  # a release ends its work then; the rest is another's
STALE_SECONDS = (
    600.0  # a mark this old is of a dead process; machines' clocks may differ by minutes
)


def claim(
    store: ArtifactStore, leases: Leases, tenant: str, job: str, contents: Iterable[str]
) -> None:
    """Claim the contents for the job: what exists of them is not deleted from then on.

    Waits up to PATIENCE_SECONDS for releases in progress. Raises StoreUnavailable if one still
    runs after that.
    """
    claimed = list(contents)
    for content in claimed:
        store.put(keys.uses(tenant, content) + job, b"")
    await_releases(store, leases, tenant, claimed)


def await_releases(
    store: ArtifactStore, leases: Leases, tenant: str, contents: Sequence[str]
) -> None:
    """Wait up to PATIENCE_SECONDS for releases in progress. Raises StoreUnavailable after that."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while _is_released(store, leases, tenant, contents):
        if time.monotonic() > ends_at:
            raise StoreUnavailable("What the job needs is just being deleted with another.")
        time.sleep(0.05)


@contextmanager
def marked(store: ArtifactStore, leases: Leases, tenant: str, content: str) -> Iterator[bool]:
    """Hold off all who wait for releases of a content; yield False if another does so already."""
    held = _Release(store, leases, tenant, (content,))
    try:
        yield held.begin()
    finally:
        held.end()


def release(
    store: ArtifactStore,
    leases: Leases,
    tenant: str,
    job: str | None,
    content: str,
    parts: Iterable[str] = (),
) -> int:
    """Delete a job's claim, and the content too if no other job has a claim.

    A content that is made of several parts is needed by each job that has claims on all of them.
    Returns how many artifacts were deleted; 1 if another release is in progress, so that the
    caller comes again.
    """
    held = _Release(store, leases, tenant, tuple(parts) or (content,))
    try:
        if not held.begin():
            return 1
        return _release(held, job, content)
    finally:
        held.end()


def expire(
    store: ArtifactStore,
    leases: Leases,
    tenant: str,
    parts: Sequence[str],
    gone: Sequence[str],
    is_free: Callable[[set[str]], bool],
) -> bool:
    """Delete artifacts of a content that jobs still claim, if `is_free` says so of these jobs.

    It is asked under the mark, and again while they are deleted; it must say no for a job that has
    begun a run. Returns whether all of them are gone.
    """
    held = _Release(store, leases, tenant, tuple(parts))
    try:
        if not held.begin():
            return False
        looked_at = time.monotonic()  # before the look: a process may be stopped at any moment
        if not is_free(set.intersection(*held.users())):
            return False
        for number, key in enumerate(gone):
            due = number % LOOK_EVERY == LOOK_EVERY - 1
            if due or time.monotonic() - looked_at > LOOK_SECONDS:
                if not held.stands() or not is_free(set.intersection(*held.users())):
                    return False
                looked_at = time.monotonic()
            store.delete(key)
        return True
    finally:
        held.end()


def _release(held: _Release, job: str | None, content: str) -> int:
    store, tenant = held.store, held.tenant
    looked_at = time.monotonic()
    users = held.users()
    own = keys.uses(tenant, content) + (job or "")
    gone = [own] if len(users) == 1 and job in users[0] else []
    if not _needing(users, job):
        whole = (keys.source(tenant, content), keys.upload(tenant, content))
        gone += [key for key in whole if exists(store, key)]
        for folder in keys.made_of(tenant, content):
            gone += store.list(folder)
    for number, key in enumerate(gone):
        due = number % LOOK_EVERY == LOOK_EVERY - 1 or time.monotonic() - looked_at > LOOK_SECONDS
        if due and key != own:
            if not held.stands() or _needing(held.users(), job):
                return number
            looked_at = time.monotonic()
        store.delete(key)
    return len(gone)


def _needing(users: Sequence[set[str]], job: str | None) -> set[str]:
    """Return the other jobs that need a content, from the claims on each of its parts."""
    return set.intersection(*users) - {job or ""}


class _Release:
    """A release in progress: its mark on each part, and the leases that earlier releases heed."""

    def __init__(
        self, store: ArtifactStore, leases: Leases, tenant: str, parts: tuple[str, ...]
    ) -> None:
        self.store, self.tenant = store, tenant
        self._leases = leases
        self._owner = f"release:{uuid4().hex}"
        self._folders = [keys.uses(tenant, part) for part in parts]
        self._marks = [keys.releasing(tenant, part) for part in parts]
        self._begun_at = time.monotonic()

    def begin(self) -> bool:
        """Mark all parts; return False if another release has marked or leased one of them."""
        mark = encode({"owner": self._owner, "since": time.time()})
        for key in self._marks:
            if not self.store.put(key, mark) and (
                _is_standing(self.store, key) or not self.store.put(key, mark)
            ):
                return False
        return self._lease()

    def users(self) -> list[set[str]]:
        """Return the jobs that have a claim on each part."""
        return [
            {key.removeprefix(folder) for key in self.store.list(folder)}
            for folder in self._folders
        ]

    def stands(self) -> bool:
        """Return whether all marks are still there, and young enough to go on deleting."""
        is_young = time.monotonic() - self._begun_at < HOLD_SECONDS
        return is_young and all(map(self._is_own, self._marks)) and self._lease()

    def end(self) -> None:
        """Remove the marks and leases; what cannot be removed now becomes stale."""
        with suppress(RedisError):
            for folder in self._folders:
                self._leases.release(folder, self._owner)
        with suppress(ScriptoriumError):
            for key in self._marks:
                if self._is_own(key):
                    self.store.delete(key)

    def _is_own(self, key: str) -> bool:
        return _read_mark(self.store, key).get("owner") == self._owner

    def _lease(self) -> bool:
        with suppress(RedisError):
            return all(self._leases.take(folder, self._owner) for folder in self._folders)
        return True


def _is_released(
    store: ArtifactStore, leases: Leases, tenant: str, contents: Sequence[str]
) -> bool:
    """Return whether a release of one of the contents is in progress."""
    if any(_is_standing(store, keys.releasing(tenant, content)) for content in contents):
        return True
    with suppress(RedisError):
        return any(leases.held([keys.uses(tenant, content) for content in contents]))
    return False


def _is_standing(store: ArtifactStore, key: str) -> bool:
    """Return whether there is a mark; remove it if its release died."""
    mark = _read_mark(store, key)
    if not mark:
        return False
    if time.time() - mark.get("since", 0.0) < STALE_SECONDS:
        return True
    store.delete(key)
    return False


def _read_mark(store: ArtifactStore, key: str) -> dict[str, Any]:
    """Return the mark's `owner` and `since`, in seconds since 1970; empty if there is none."""
    try:
        mark: dict[str, Any] = json.loads(store.get(key))
    except ArtifactMissing:
        return {}
    return mark

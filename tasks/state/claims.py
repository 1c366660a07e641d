"""Reference counts of shared contents: a source, an upload, or an audio and what is made of it.

A job writes a claim before it looks for the content; the last release deletes the content. A
release takes a lease before it looks for claims, so of a claim and a release at the same time
at least one sees the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import uuid4

from redis.exceptions import RedisError

from gpu_worker.errors import RedisUnavailable, StoreUnavailable
from tasks.artifacts import ArtifactStore, exists
from tasks.runs import keys
from tasks.state.leases import Leases

PATIENCE_SECONDS = 5.0  # for a release in progress
RENEWED_EVERY = 50  # deleted artifacts: then a release renews its leases


def claim(
    store: ArtifactStore, leases: Leases, tenant: str, job: str, contents: Iterable[str]
) -> None:
    """Claim the contents for the job: what exists of them is not deleted from then on.

    Waits up to PATIENCE_SECONDS for releases in progress. Raises StoreUnavailable if one still
    runs after that, and RedisUnavailable.
    """
    folders = [keys.uses(tenant, content) for content in contents]
    for folder in folders:
        store.put(folder + job, b"")
    ends_at = time.monotonic() + PATIENCE_SECONDS
    try:
        while any(leases.held(folders)):
            if time.monotonic() > ends_at:
                raise StoreUnavailable("What the job needs is just being deleted with another.")
            time.sleep(0.05)
    except RedisError as error:
        raise RedisUnavailable("Redis cannot be reached, so no audio can be claimed.") from error


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
    Returns how many artifacts were deleted. Raises redis.RedisError.
    """
    owner = f"release:{uuid4().hex}"
    folders = [keys.uses(tenant, part) for part in parts] or [keys.uses(tenant, content)]
    taken = [folder for folder in folders if leases.take(folder, owner)]
    try:
        if len(taken) < len(folders):
            return 0  # another release is in progress
        return _release(store, leases, tenant, job, content, folders, owner)
    finally:
        for folder in taken:
            leases.release(folder, owner)


def _release(
    store: ArtifactStore,
    leases: Leases,
    tenant: str,
    job: str | None,
    content: str,
    folders: list[str],
    owner: str,
) -> int:
    users = [{key.removeprefix(folder) for key in store.list(folder)} for folder in folders]
    own = keys.uses(tenant, content) + (job or "")
    gone = [own] if len(folders) == 1 and job in users[0] else []
    if not set.intersection(*users) - {job or ""}:
        whole = (keys.source(tenant, content), keys.upload(tenant, content))
        gone += [key for key in whole if exists(store, key)]
        for folder in keys.made_of(tenant, content):
            gone += store.list(folder)
    for number, key in enumerate(gone):
        if number % RENEWED_EVERY == 0:
            for folder in folders:
                leases.take(folder, owner)
        store.delete(key)
    return len(gone)

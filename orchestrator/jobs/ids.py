"""Make the ids of jobs, and find the job that belongs to an idempotency key.

No id is ever used twice, because every process may cache what it has read of a job. So the
link from a key to its job is an artifact, and is deleted with the job.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress

from gpu_worker.errors import InvalidOption
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys


class UnusableIdempotencyKey(InvalidOption):
    """An idempotency key is empty: all who send it so would share one job."""

    hint = "Send a value of your own for each submission, or leave the key out."
    param = "idempotency_key"


def job_id() -> str:
    """Return a new id of 23 characters; ids sort by time of creation."""
    return f"{int(time.time() * 1000):011x}{secrets.token_hex(6)}"


def keyed_job(store: ArtifactStore, tenant: str, idempotency_key: str) -> str:
    """Return the id of a key's job; for a new key store a new id and return that.

    Every way into the cluster calls this. Raises UnusableIdempotencyKey for a key of white space
    or of bytes that are no UTF-8 text.
    """
    if not idempotency_key.strip():
        raise UnusableIdempotencyKey()
    if not _is_text(idempotency_key):
        raise UnusableIdempotencyKey("An idempotency key is not text in UTF-8.")
    key = keys.idempotency(tenant, idempotency_key)
    while True:
        own = job_id()
        if store.put(key, own.encode()):
            return own
        with suppress(ArtifactMissing):  # the job was deleted just now: try again with the new id
            return store.get(key).decode()


def forget_key(store: ArtifactStore, tenant: str, job: str, idempotency_key: str) -> None:
    """Delete the link from a deleted job's idempotency key, if it still points to this job."""
    key = keys.idempotency(tenant, idempotency_key)
    with suppress(ArtifactMissing):
        if store.get(key) == job.encode():
            store.delete(key)


def _is_text(value: str) -> bool:
    """Return whether UTF-8 can encode it; arguments and JSON may hold half a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

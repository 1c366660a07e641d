"""The ids of jobs, and which job an idempotency key stands for.

No id is ever given twice, since every process may remember what it has read of a job. So a
key stands for a job by an artifact, which goes with the job.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress

from gpu_worker.errors import InvalidOption
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys
from tasks.runs.manifest import Manifest


class UnusableIdempotencyKey(InvalidOption):
    """An idempotency key is empty: all who send it so would share one job."""

    hint = "Send a value of your own for each submission, or leave the key out."
    param = "idempotency_key"


def job_id() -> str:
    """A new one; ids sort by time."""
    return f"{int(time.time() * 1000):011x}{secrets.token_hex(6)}"


def keyed_job(store: ArtifactStore, tenant: str, idempotency_key: str) -> str:
    """The job that a key stands for; from now on a new one's id if there is none.

    Every way into the cluster leads here. Raises UnusableIdempotencyKey for a key of white space
    or of bytes that are no text.
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
        with suppress(ArtifactMissing):  # deleted in this moment
            return store.get(key).decode()


def forget_key(store: ArtifactStore, manifest: Manifest) -> None:
    """Let a deleted job's idempotency key stand for it no more."""
    if manifest.idempotency_key is None:
        return
    key = keys.idempotency(manifest.tenant, manifest.idempotency_key)
    with suppress(ArtifactMissing):
        if store.get(key).decode() == manifest.job:
            store.delete(key)


def _is_text(value: str) -> bool:
    """Whether it has no half of a surrogate pair, as a shell's arguments and JSON may."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Whether the store keeps what was written first, which a cluster relies on.

The one condition that is relied on is `If-None-Match: *`, with which an object is created and never
replaced: the first of two results stays, and a run ends once. A store that ignores the header takes
both writes without a word. So a process that begins writes a small object twice.
"""

from __future__ import annotations

from contextlib import suppress
from uuid import uuid4

import structlog

from gpu_worker.errors import ScriptoriumError, StoreRefused, StoreUnavailable
from tasks.artifacts import ArtifactStore, StoreUnsupported

PROBES = "doctor/"  # begins their keys; what a killed process has left is deleted after a day
log = structlog.get_logger(__name__)


def check_store_at_start(store: ArtifactStore) -> None:
    """Raise StoreUnsupported if the store overwrites; log it if the store cannot be asked now.

    Each process waits for a store that is away, and so this does not end it.
    """
    try:
        check_written_once(store)
    except StoreUnsupported:
        raise
    except ScriptoriumError as error:
        log.warning("store_not_tried", reason=error.message, hint=error.advice)


def check_written_once(store: ArtifactStore) -> None:
    """Write an object twice, look which one stays, and delete it.

    Raises StoreUnsupported, StoreUnavailable, StoreRefused or DiskFull.
    """
    key = f"{PROBES}{uuid4().hex}"
    try:
        store.put(key, b"first")  # False as well if the reply was lost and it was sent again
        is_overwritten = store.put(key, b"second") or store.get(key) != b"first"
    finally:
        with suppress(StoreRefused, StoreUnavailable):  # a bucket's rule deletes what is left
            store.delete(key)
    if is_overwritten:
        raise StoreUnsupported(f"{store.url} overwrites objects: it ignores If-None-Match.")

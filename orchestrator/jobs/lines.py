"""What a job knows of the collection that it was made for: its key, and the note of its deletion.

    tenants/<tenant>/collections/<collection>/gone/<job>

The note tells a line whose job was deleted from one whose job the store has lost, as a copy of a
bucket in use may have.
"""

from __future__ import annotations

from tasks.artifacts import ArtifactStore, exists

ACCEPTED = "collections/"
_WORD = "collection"


def idempotency_key(collection: str, line: int) -> str:
    """Return the key with which a line is submitted: a client's key has no spaces."""
    return f"{_WORD} {collection} {line}"


def collection_of(idempotency_key: str) -> str | None:
    """Return the collection of a key that `idempotency_key` gave."""
    word, *rest = idempotency_key.split(" ")
    return rest[0] if word == _WORD and len(rest) == 2 else None


def gone(tenant: str, collection: str, job: str) -> str:
    """Return the key of the note that a job of this collection was deleted."""
    return f"tenants/{tenant}/collections/{collection}/gone/{job}"


def note_deletion(store: ArtifactStore, tenant: str, job: str, idempotency_key: str) -> None:
    """Note that a job is deleted, if it is one of a collection that is still there."""
    collection = collection_of(idempotency_key)
    if collection and exists(store, f"{ACCEPTED}{tenant}/{collection}"):
        store.put(gone(tenant, collection, job), b"")

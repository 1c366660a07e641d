"""Accept a collection: its first round is opened, its lines are written, then its record.

The record is the commit point. A crash before it loses nothing that was promised: the same request
with the same idempotency key goes on, and SETTLED_SECONDS later the reconciler removes what was
written. It writes a record of its own first, which says `is_dropped`, and then looks at the marker
of the round again; a request makes that marker young first, and then looks for such a record and
the note of a deletion. So of both at least one sees the other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from gpu_worker.errors import StoreUnavailable
from orchestrator.access import QuotaExceeded
from orchestrator.cluster.connection import Cluster
from orchestrator.collections import places
from orchestrator.collections.records import (
    Collection,
    CollectionOutOfBounds,
    Line,
    UnknownCollection,
    read_lines,
    write_lines,
)
from orchestrator.jobs.ids import job_id
from orchestrator.jobs.ready_by import check_ready_by
from orchestrator.jobs.submission import IdempotencyConflict
from orchestrator.jobs.vocabulary_use import pinned
from tasks.artifacts import ArtifactMissing, encode, exists
from tasks.runs import keys
from tasks.runs.json_artifacts import read_record
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tasks.state.claims import claim

OPEN_AT_ONCE = 100  # collections of one tenant that have not ended
THREADS = 16  # claims that are written at once
SETTLED_SECONDS = 600.0  # a request that writes a collection or a retry is over after this
_BEING_DELETED = "What was written with this key earlier is just being deleted."


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for all lines of a collection."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    webhook_url: str | None = None
    ready_by: float | None = None  # seconds since 1970
    idempotency_key: str | None = None
    is_operators: bool = False
    lines_from: str = ""  # a digest of the list, or the prefix: what tells requests apart


def accept(cluster: Cluster, tenant: str, asked: Asked, lines: Sequence[Line]) -> Collection:
    """Accept a collection; each of its lines becomes a job or a named refusal from then on.

    Raises InvalidOption, UnknownVocabulary, ReadyByPassed, CollectionOutOfBounds, QuotaExceeded,
    IdempotencyConflict, what `check_webhook_url` raises, and the store's errors.
    """
    if asked.webhook_url is not None:
        from orchestrator.outbox.webhooks import check_webhook_url  # brings an HTTP client

        check_webhook_url(cluster.settings, asked.webhook_url)
    job_options(asked.options)  # a wrong one would refuse each line
    most = cluster.settings.collection_lines
    if not 0 < len(lines) <= most:
        raise CollectionOutOfBounds(
            f"It has {len(lines)} lines; from 1 to {most} are accepted.",
            hint=None if lines else "Give at least one line.",
        )
    store, key = cluster.store, asked.idempotency_key
    name = places.PREFIX + job_id() if key is None else places.keyed_collection(store, tenant, key)
    mark = _digest(asked)
    known = find(cluster, tenant, name)
    if known is not None:
        return _same(known, mark)
    _check_not_removed(cluster, tenant, name)
    check_ready_by(asked.ready_by, time.time())
    if sum(1 for _ in places.names_of(store, places.OPEN, tenant)) >= OPEN_AT_ONCE:
        raise QuotaExceeded(
            f"{OPEN_AT_ONCE} collections have not ended yet.", hint="Wait until one has ended."
        )
    options = pinned(store, tenant, asked.options)
    first, began = Run(tenant, name, 1), time.monotonic()
    if not store.put(places.open_round(first), places.marker(time.time())):  # an earlier try's
        store.delete(places.open_round(first))
        store.put(places.open_round(first), places.marker(time.time()))
    _check_not_removed(cluster, tenant, name)
    if not store.put(places.lines(tenant, name), write_lines(lines)):
        lines = read_lines(places.lines(tenant, name), store.get(places.lines(tenant, name)))
    _claim(cluster, tenant, name, lines)
    record = Collection(
        tenant=tenant,
        id=name,
        created_at=round(time.time(), 3),
        name=asked.name,
        lines=len(lines),
        options=options,
        metadata=asked.metadata,
        labels=asked.labels,
        webhook_url=asked.webhook_url,
        ready_by=asked.ready_by,
        idempotency_key=key,
        asked=mark,
        is_operators=asked.is_operators,
        notes_deletions=True,
    )
    store.put(places.open_round(first), places.marker(time.time()))  # if it was removed just then
    if time.monotonic() - began > SETTLED_SECONDS / 2:
        raise StoreUnavailable("The store was too slow to accept the collection.")
    if not store.put(places.record(tenant, name), encode(record.model_dump(mode="json"))):
        known = find(cluster, tenant, name)
        if known is None:
            raise StoreUnavailable(_BEING_DELETED)
        return _same(known, mark)
    return record


def _check_not_removed(cluster: Cluster, tenant: str, name: str) -> None:
    """Raise StoreUnavailable while a collection is deleted, or what an earlier try has left."""
    found = read(cluster, tenant, name)
    is_dropped = found is not None and found.is_dropped
    if is_dropped or exists(cluster.store, places.deleted(tenant, name)):
        raise StoreUnavailable(_BEING_DELETED)


def get(cluster: Cluster, tenant: str, collection: str) -> Collection:
    """Return a collection. Raises UnknownCollection or UnreadableRecord."""
    found = find(cluster, tenant, collection)
    if found is None:
        raise UnknownCollection(f"There is no collection {collection!r}.")
    return found


def find(cluster: Cluster, tenant: str, collection: str) -> Collection | None:
    """Return a collection, or None. Raises UnreadableRecord."""
    found = read(cluster, tenant, collection)
    return None if found is None or found.is_dropped else found


def read(cluster: Cluster, tenant: str, collection: str) -> Collection | None:
    """Return the record of a collection, also one that says `is_dropped`, or None."""
    try:
        key = places.record(tenant, collection)
        found: Collection = read_record(cluster.store, key, Collection.of_artifact)
    except (ArtifactMissing, ValueError):  # ValueError: it is not even a name
        return None
    return found


def contents_of(line: Line, tenant: str) -> list[str]:
    """Return the contents of our store that a line needs until its job has claimed them."""
    if line.upload_id is not None:
        return [keys.content(keys.upload(tenant, line.upload_id))]
    return [keys.content(line.artifact)] if line.artifact is not None else []


def _claim(cluster: Cluster, tenant: str, name: str, lines: Sequence[Line]) -> None:
    """Keep uploaded files until their jobs are made: their turn may come after days."""
    needed = [content for line in lines for content in contents_of(line, tenant)]
    if needed:
        with ThreadPoolExecutor(THREADS, "claims") as threads:
            list(
                threads.map(
                    lambda it: claim(cluster.store, cluster.leases, tenant, name, [it]), needed
                )
            )


def _digest(asked: Asked) -> str:
    """Return what tells a request from another; below a prefix the objects may change meanwhile."""
    labels = (asked.labels,) if asked.labels else ()  # an earlier release knew none
    parts = (asked.name, asked.options, asked.metadata, asked.webhook_url, asked.lines_from)
    return sha256(encode({"parts": [*parts, *labels]})).hexdigest()[:32]


def _same(known: Collection, mark: str) -> Collection:
    """Return the collection that was accepted with this key. Raises IdempotencyConflict."""
    if known.asked != mark:
        raise IdempotencyConflict()
    return known

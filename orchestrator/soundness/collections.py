"""Look at collections in the store: a few requests for each."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.collections import places
from orchestrator.collections.acceptance import SETTLED_SECONDS
from orchestrator.collections.records import Collection
from orchestrator.soundness.findings import CollectionFacts
from tasks.artifacts import ArtifactMissing, ArtifactStore, exists
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord, read_record
from tasks.runs.units import created_at


def collections_of(store: ArtifactStore, tenant: str) -> Iterator[str]:
    """Yield the ids of a tenant's collections, also of those without a record."""
    accepted = set(places.names_of(store, places.ACCEPTED, tenant))
    yield from sorted(accepted)
    begin, after = f"tenants/{tenant}/collections/", ""
    while True:
        key = next(iter(store.list(begin, after)), None)
        if key is None:
            return
        name = key.removeprefix(begin).partition("/")[0]
        if name not in accepted:
            yield name
        after = keys.behind(f"{begin}{name}/")


def look_at_collection(
    store: ArtifactStore, tenant: str, name: str, now: float
) -> CollectionFacts | None:
    """Look at one collection; None for one whose record cannot be read."""
    opened = f"{places.OPEN}{tenant}/{name}/"
    rounds = [key.removeprefix(opened) for key in store.list(opened)]
    turn = places.newest_round(store, tenant, name)
    try:
        record: Collection | None = read_record(
            store, places.record(tenant, name), Collection.of_artifact
        )
    except ArtifactMissing:
        record = None
    except UnreadableRecord:
        return None
    folder = places.folder(tenant, name)
    is_owed = exists(store, places.OWED + turn.name) or exists(store, places.delivered(turn))
    created = created_at(name.removeprefix(places.PREFIX)) or 0.0
    if record is not None and record.is_dropped:  # it was never accepted
        record = None
    return CollectionFacts(
        turn,
        has_record=record is not None,
        has_lines=exists(store, places.lines(tenant, name)),
        has_names=next(iter(store.list(folder)), None) is not None,
        opened=frozenset(int(it) for it in rounds if it.isdecimal()),
        has_ended=exists(store, places.ended(turn)),
        is_delivered=record is None or record.webhook_url is None or is_owed,
        is_deleted=exists(store, places.deleted(tenant, name)),
        is_young=record is None and created > now - SETTLED_SECONDS,
        now=now,
    )

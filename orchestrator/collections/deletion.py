"""Delete a collection: its list, its records, and the jobs that were made of it.

From the call on the collection is unknown. The jobs go one after the other, by the reconciler.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.collections import places
from orchestrator.collections.acceptance import contents_of, get, read
from orchestrator.collections.making import PIECE
from orchestrator.collections.records import Collection, Line, read_lines
from orchestrator.collections.rounds import Rounds
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.holds import JobHeld, is_held
from orchestrator.jobs.ids import forget_key
from orchestrator.jobs.lines import idempotency_key
from tasks.artifacts import ArtifactMissing, ArtifactStore, encode, exists
from tasks.runs import keys
from tasks.runs.json_artifacts import json_object, read_record
from tasks.runs.units import Run
from tasks.state.claims import release

THREADS = 4  # jobs that are deleted at once
# A line that was being submitted when its collection was deleted is a job by then.
SETTLES_SECONDS = 10.0


def delete(cluster: Cluster, tenant: str, collection: str) -> None:
    """Delete a collection with its jobs, but those under a legal hold.

    Raises UnknownCollection, or JobHeld if the hold is on the whole tenant.
    """
    record = get(cluster, tenant, collection)
    if is_held(cluster.store, tenant, collection):
        raise JobHeld(f"There is a legal hold on the tenant of collection {collection}.")
    _entomb(cluster, record)


def drop(cluster: Cluster, turn: Run, is_old: Callable[[], bool]) -> bool:
    """Remove what a request has left that died before its collection was accepted.

    Returns False if it is accepted by now, or by a look with `is_old` a request goes on with it,
    or if its deletion has begun. `acceptance.py` says why nothing of an accepted one is lost.
    """
    if exists(cluster.store, places.deleted(turn.tenant, turn.job)):
        return False
    store, key = cluster.store, places.record(turn.tenant, turn.job)
    dropped = Collection(
        tenant=turn.tenant, id=turn.job, created_at=0.0, name="", lines=0, is_dropped=True
    )
    store.put(key, encode(dropped.model_dump(mode="json")))
    known = read(cluster, turn.tenant, turn.job)  # ours, or of a process that died here
    if known is None or not known.is_dropped:
        return False
    if not is_old():
        store.delete(key)
        return False
    _entomb(cluster, dropped)
    return True


def _entomb(cluster: Cluster, record: Collection) -> None:
    tenant, collection = record.tenant, record.id
    stone = encode(record.model_dump(mode="json") | {"deleted_at": time.time()})
    cluster.store.put(places.deleted(tenant, collection), stone)
    cluster.store.delete(places.record(tenant, collection))


def deleted_collections(store: ArtifactStore) -> Iterator[tuple[str, str]]:
    """Yield tenant and id of each collection whose deletion has not ended."""
    for key in store.list(places.DELETED):
        tenant, _, collection = key.removeprefix(places.DELETED).partition("/")
        if collection and "/" not in collection:
            yield tenant, collection


def erase(
    cluster: Cluster,
    tenant: str,
    collection: str,
    while_held: Callable[[Iterable[str]], Iterator[str]],
) -> None:
    """Remove all of a deleted collection; the next call goes on if this one is cut off.

    `while_held` raises LeadLost before an item once another reconciler leads.
    """
    store = cluster.store
    try:
        key = places.deleted(tenant, collection)
        stone = read_record(store, key, json_object)
        record = Collection.of_artifact(stone)
    except ArtifactMissing:
        return
    if 0 <= time.time() - stone.get("deleted_at", 0.0) < SETTLES_SECONDS:
        return
    store.delete(places.record(tenant, collection))
    newest = places.newest_round(store, tenant, collection)
    turns = [Run(tenant, collection, number) for number in range(1, newest.number + 2)]
    for turn in turns:  # no more jobs are made from here on
        store.delete(places.open_round(turn))
        places.outbox(store, cluster.redis).remove(turn)
    lines = _lines(cluster, tenant, collection)
    with ThreadPoolExecutor(THREADS, "collection") as threads:
        jobs = _jobs(cluster, record, newest, lines)
        held = while_held(jobs)
        for future in [threads.submit(_delete_job, cluster, tenant, job) for job in held]:
            future.result()
    for job, own_key in jobs.items():  # there may be a key without a job
        if own_key is not None:
            forget_key(store, tenant, job, own_key)
    _release_lines(cluster, record)
    if record.idempotency_key is not None:
        forget_key(
            store,
            tenant,
            collection.removeprefix(places.PREFIX),
            places.client_key(record.idempotency_key),
        )
    Rounds(cluster).states.forget(newest)
    for key in list(store.list(places.folder(tenant, collection))):
        store.delete(key)
    store.delete(places.deleted(tenant, collection))


def _release_lines(cluster: Cluster, record: Collection) -> None:
    """Give up the files that the collection has kept for lines without a job.

    What was uploaded for one that was not accepted stays for its day, as any upload.
    """
    tenant, store = record.tenant, cluster.store
    for line in _lines(cluster, tenant, record.id):
        is_pending = line.upload_id and exists(store, keys.pending(tenant, line.upload_id))
        for content in contents_of(line, tenant):
            if record.is_dropped and is_pending:
                store.delete(keys.uses(tenant, content) + record.id)
            else:
                release(store, cluster.leases, tenant, record.id, content)


def _lines(cluster: Cluster, tenant: str, collection: str) -> list[Line]:
    try:
        key = places.lines(tenant, collection)
        return read_lines(key, cluster.store.get(key))
    except ArtifactMissing:  # an earlier call has come so far
        return []


def _jobs(
    cluster: Cluster, record: Collection, newest: Run, lines: list[Line]
) -> dict[str, str | None]:
    """Return the jobs of all lines; with their keys those that a step had not written yet."""
    rounds = Rounds(cluster)
    if lines:
        rounds.restore(Run(record.tenant, record.id, 1), newest.number)
    states = list(rounds.states.read(newest))
    found: dict[str, str | None] = {it.job: None for it in states if it.job is not None}
    seen = {it.number for it in states}
    for line in [it for it in lines if it.number not in seen][:PIECE]:
        key = idempotency_key(record.id, line.number)
        with suppress(ArtifactMissing):
            found[cluster.store.get(keys.idempotency(record.tenant, key)).decode()] = key
    return found


def _delete_job(cluster: Cluster, tenant: str, job: str) -> None:
    with suppress(UnknownJob, JobHeld):  # what is held outlives its collection
        delete_job(cluster, tenant, job)

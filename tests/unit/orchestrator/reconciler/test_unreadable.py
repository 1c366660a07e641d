"""What this release cannot read, or a stray object, is one run's trouble and no other's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.cluster import unreadable
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Status
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.runs import cancel
from orchestrator.jobs.tombstones import Tombstones
from orchestrator.reconciler import Reconciler
from orchestrator.scaling.published import published
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.stages import Stage
from tasks.state.receipts import Receipt
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.queued_units import queued_units
from tests.unit.orchestrator.reconciler.passes import Clock, issued, open_job, restore

Poison = Callable[[Cluster], None]


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    unreadable.forget()


def newer(**changes: Any) -> dict[str, Any]:
    """The manifest of a job of a release that has one more field everywhere."""
    manifest = a_manifest("newer").model_dump(mode="json")
    manifest["source"] |= {"mirror": "s3://calls/copy.wav"}
    manifest["options"] |= {"denoise": True} | changes
    return manifest | {"priority": 3}


def open_newer(connection: Cluster, manifest: bytes, plan: bytes | None = None) -> None:
    """An open job in store and Redis, with these bytes as its records."""
    run = a_run(job="newer")
    connection.store.put(keys.manifest(TENANT, "newer"), manifest)
    if plan is not None:
        connection.store.put(keys.plan(TENANT, "newer"), plan)
    connection.store.put(keys.open_run(run), b"")
    connection.jobs.add(a_manifest("newer"), run)
    connection.redis.hset("scriptorium:job:default/newer", "manifest", manifest)
    connection.ledger.record(run.unit(Stage.PREPARE), Receipt("computed"))


def a_new_value(connection: Cluster) -> None:
    open_newer(connection, encode(newer(compute_type="fp8")))


def no_json(connection: Cluster) -> None:
    open_newer(connection, b"\xff{")


def no_object(connection: Cluster) -> None:
    open_newer(connection, b"[]")


def a_broken_plan(connection: Cluster) -> None:
    open_newer(connection, encode(newer()), b'{"audio": "ab"}')


def broken_receipts(connection: Cluster) -> None:
    open_newer(connection, encode(newer()), encode(a_plan(10).model_dump(mode="json")))
    receipts: dict[Any, Any] = {"denoise/0": "{}", "transcribe": "{}"}
    receipts |= {"transcribe/0": "{", "align/0": "[]"}
    connection.redis.hset("scriptorium:receipts:default/newer/1", mapping=receipts)


def stray_objects(connection: Cluster) -> None:
    for folder in (keys.OPEN, keys.OUTBOX, keys.DELETED, keys.DEAD_LETTERS):
        for name in ("README", "default/README", "default/a/b/c", "default/job-1/one"):
            connection.store.put(folder + name, b"")
    for name in ("README", "failed/README", "failed/denoise/0.json", "failed/align/x.json"):
        connection.store.put(keys.of_run(a_run(), name), b"")


def strays_in_redis(connection: Cluster) -> None:
    connection.redis.sadd("scriptorium:open", "README", b"\xff/a/1")
    connection.redis.hset("scriptorium:speeds", mapping={"x/seconds": 1, "gpu|align|m/units": 1})
    connection.redis.rpush("transcribe.bulk", b"{", b"[]")
    connection.redis.rpush("transcribe.bulk:of:default", b"", b"1.0 {")
    connection.redis.zadd("transcribe.bulk:tenants", {b"default": 0, b"\xff": 0})


POISONS = [
    a_new_value, no_json, no_object, a_broken_plan, broken_receipts, stray_objects, strays_in_redis,
]  # fmt: skip


@pytest.mark.parametrize("poison", POISONS)
def test_it_keeps_nothing_else_from_being_issued_again(
    connection: Cluster, reconciler: Reconciler, clock: Clock, poison: Poison
) -> None:
    open_job(connection)
    poison(connection)
    assert (Stage.PREPARE, 0) in issued(reconciler, clock)
    assert a_unit(Stage.PREPARE) in queued_units(connection.redis)
    measured = published(connection.redis)
    assert measured is not None
    assert measured.open_runs >= 1


@pytest.mark.parametrize("poison", POISONS)
def test_it_keeps_nothing_else_from_being_restored(connection: Cluster, poison: Poison) -> None:
    open_job(connection, a_plan(10))
    connection.store.put(keys.manifest(TENANT, "ended"), encode(newer() | {"job": "ended"}))
    result = encode({"transcript": None, "missing": [], "error": None, "canceled": True})
    connection.store.put(keys.of_run(a_run(job="ended"), keys.RESULT), result)
    poison(connection)
    connection.redis.flushall()
    restore(connection)
    assert a_run() in connection.jobs.open_runs()
    assert connection.job(TENANT, "ended").status is Status.CANCELED
    assert not connection.jobs.is_wiped()
    assert not connection.jobs.lacks_ended()


def test_a_field_that_a_newer_release_has_added_is_ignored(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_newer(connection, encode(newer()))
    assert connection.job(TENANT, "newer").status is Status.PROCESSING
    assert issued(reconciler, clock) == [(Stage.PREPARE, 0)]


@pytest.mark.parametrize("poison", [a_new_value, no_json, no_object, a_broken_plan])
def test_a_job_that_cannot_be_read_has_a_status_with_a_code_and_can_be_canceled(
    connection: Cluster, poison: Poison
) -> None:
    poison(connection)
    found = connection.job(TENANT, "newer")
    assert found.status is Status.PROCESSING
    assert found.error is not None
    assert found.error["code"] == "unreadable_record"
    assert json.dumps(found.to_json())
    assert cancel(connection, TENANT, "newer").status is Status.CANCELED
    assert connection.jobs.open_runs() == []


@pytest.mark.parametrize("poison", [a_new_value, no_json, no_object, a_broken_plan])
def test_a_job_that_cannot_be_read_can_be_deleted_with_what_it_claimed(
    connection: Cluster, poison: Poison
) -> None:
    poison(connection)
    source = keys.source(TENANT, "ab")
    connection.store.put(source, b"audio")
    connection.store.put(keys.uses(TENANT, "ab") + "newer", b"")
    delete_job(connection, TENANT, "newer")
    assert list(connection.store.list("")) == [keys.tombstone(TENANT, "newer")]
    with pytest.raises(UnknownJob):
        connection.job(TENANT, "newer")


def test_the_key_of_a_job_of_a_newer_release_is_free_once_it_is_deleted(
    connection: Cluster,
) -> None:
    link = keys.idempotency(TENANT, "call-1")
    connection.store.put(link, b"newer")
    manifest = newer(compute_type="fp8") | {"idempotency_key": "call-1"}
    open_newer(connection, encode(manifest))
    delete_job(connection, TENANT, "newer")
    assert not exists(connection.store, link)


def test_a_tombstone_that_cannot_be_read_keeps_no_other_from_its_sweep(
    connection: Cluster,
) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(keys.tombstone(TENANT, JOB), b"{")
    future = {"deleted_at": 1000.0, "runs": 1, "contents": {}, "reason": "asked for"}
    connection.store.put(keys.tombstone(TENANT, "newer"), encode(future))
    connection.store.put(keys.manifest(TENANT, "newer"), b"{")
    sweeper = Tombstones(connection)
    for _ in range(3):
        sweeper.sweep()
    assert list(connection.store.list("")) == []


def test_each_is_counted_once(connection: Cluster, reconciler: Reconciler, clock: Clock) -> None:
    from tasks.telemetry.metrics import UNREADABLE_RECORDS

    def counted() -> float:
        return sum(
            sample.value
            for family in UNREADABLE_RECORDS.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        )

    before = counted()
    no_json(connection)
    for _ in range(3):
        issued(reconciler, clock)
    assert counted() == before + 1

"""Gaps are closed: what was lost is issued again, what Redis forgot is told again."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status
from orchestrator.cluster.queues import queued_units
from orchestrator.jobs.runs import cancel
from orchestrator.jobs.submission import submit
from orchestrator.reconciler import Reconciler
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Plan, Source
from tasks.runs.records import result_record
from tasks.runs.stages import Stage, queues
from tasks.state.receipts import Receipt
from tests.eventually import eventually
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records

GRACE = 5.0
ASSEMBLE = a_unit(Stage.ASSEMBLE)


class Clock:
    """A time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reconciler(connection: Cluster, clock: Clock) -> Reconciler:
    return Reconciler(connection, clock=clock)


def open_job(connection: Cluster, plan: Plan | None = None, **options: Any) -> None:
    """A job as submission leaves it, without its message."""
    write_records(connection.store, a_manifest(**options), plan)
    connection.store.put(keys.open_run(ASSEMBLE.run), b"")
    connection.jobs.add(a_manifest(**options), a_run())
    if plan is not None:
        connection.ledger.record(a_unit(Stage.PREPARE), Receipt("computed"))
    connection.jobs.restored()


def issued(reconciler: Reconciler, clock: Clock) -> list[tuple[Stage, int]]:
    """What is issued again a grace later, when it is missing twice."""
    assert reconciler.reconcile() == ()
    clock.now += GRACE
    assert reconciler.reconcile() == ()
    return [(unit.stage, unit.index) for unit in reconciler.reconcile()]


def test_a_lost_message_is_issued_again_after_the_grace(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection)
    assert issued(reconciler, clock) == [(Stage.PREPARE, 0)]
    assert queued_units(connection.redis) == {a_unit(Stage.PREPARE)}


def test_a_message_that_is_taken_between_two_passes_is_not_lost(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(10))
    reconciler.reconcile()
    clock.now += GRACE
    assert reconciler.reconcile() == ()
    connection.leases.take(connection.records.key(a_unit(index=0)), "worker:1")
    assert reconciler.reconcile() == ()


def test_it_is_issued_once_and_then_has_its_grace_again(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection)
    assert issued(reconciler, clock)
    clock.now += 0.1
    assert reconciler.reconcile() == ()
    clock.now += 10 * GRACE
    assert reconciler.reconcile() == ()  # it waits in its queue
    assert connection.redis.llen("prepare.interactive") == 1


def test_a_message_that_was_lost_again_is_issued_again(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection)
    assert issued(reconciler, clock)
    connection.redis.delete(*queues())
    assert issued(reconciler, clock) == [(Stage.PREPARE, 0)]


def test_queued_work_is_left_alone(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    source = Source(name="talk.wav", url="s3://calls/talk.wav")
    submit(connection, source, a_manifest().options, tenant=TENANT)
    assert issued(reconciler, clock) == []


def test_leased_work_is_left_alone(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(10, 10))
    connection.leases.take(connection.records.key(a_unit(index=0)), "worker:1")
    connection.leases.reserve(connection.records.key(a_unit(index=1)), "task", 60.0)
    assert issued(reconciler, clock) == []


@pytest.mark.parametrize(
    ("plan", "language", "receipts", "needed"),
    [
        (None, "en", [], [(Stage.PREPARE, 0)]),
        (a_plan(10), None, [(Stage.PREPARE, 0)], [(Stage.DETECT_LANGUAGE, 0)]),
        (a_plan(10, 10), "en", [(Stage.TRANSCRIBE, 0)], [(Stage.TRANSCRIBE, 1)]),
        (a_plan(10), "en", [(Stage.TRANSCRIBE, 0)], [(Stage.ASSEMBLE, 0)]),
    ],
)
def test_every_stage_is_issued_again(
    connection: Cluster,
    reconciler: Reconciler,
    clock: Clock,
    plan: Plan | None,
    language: str | None,
    receipts: list[tuple[Stage, int]],
    needed: list[tuple[Stage, int]],
) -> None:
    open_job(connection, plan, language=language)
    for stage, index in receipts:
        connection.ledger.record(a_unit(stage, index), Receipt("computed"))
        connection.store.put(connection.records.key(a_unit(stage, index)), b"{}")
    assert issued(reconciler, clock) == needed
    assert {(unit.stage, unit.index) for unit in queued_units(connection.redis)} == set(needed)


def test_work_that_was_done_is_done_again_where_its_artifact_is_gone(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(10, 10), language="en")
    for index in range(2):
        connection.ledger.record(a_unit(index=index), Receipt("computed"))
    connection.store.put(connection.records.key(a_unit(index=1)), b"{}")
    assert issued(reconciler, clock) == [(Stage.ASSEMBLE, 0)]
    assert queued_units(connection.redis) == {a_unit(index=0)}


def test_a_chunk_that_was_given_up_is_not_taken_for_lost(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(10), language="en")
    connection.ledger.record(a_unit(index=0), Receipt("failed"))
    connection.store.put(keys.failed(a_unit(index=0)), b"{}")
    assert issued(reconciler, clock) == [(Stage.ASSEMBLE, 0)]
    assert queued_units(connection.redis) == {a_unit(Stage.ASSEMBLE)}


def test_a_long_file_s_chunk_goes_back_to_the_bulk_lane(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(*[300] * 3))
    assert len(issued(reconciler, clock)) == 3
    assert connection.redis.llen("transcribe.bulk") == 3


def test_a_chunk_whose_receipt_was_lost_is_not_computed_again(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(10, 10))
    connection.store.put(connection.records.key(a_unit(index=0)), b"{}")
    connection.store.put(keys.failed(a_unit(index=1)), b"{}")
    assert issued(reconciler, clock) == []
    ledger = connection.ledger.read(a_run())
    assert {unit: receipt.outcome for unit, receipt in ledger.items()} == {
        (Stage.PREPARE, 0): "computed",
        (Stage.TRANSCRIBE, 0): "cached",
        (Stage.TRANSCRIBE, 1): "failed",
    }


def test_a_run_with_its_result_is_closed(connection: Cluster, reconciler: Reconciler) -> None:
    open_job(connection, a_plan(10))
    record = result_record(transcript={"language": "en"})
    connection.store.put(keys.of_run(ASSEMBLE.run, keys.RESULT), encode(record))
    connection.ledger.record(ASSEMBLE, Receipt("computed"))
    reconciler.reconcile()
    assert connection.jobs.open_runs() == []
    assert connection.store.size(keys.open_run(ASSEMBLE.run)) is None


def test_a_result_whose_receipt_was_lost_closes_the_run_in_the_end(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(10))
    connection.ledger.record(a_unit(), Receipt("computed"))
    record = result_record(transcript={"language": "en"})
    connection.store.put(keys.of_run(ASSEMBLE.run, keys.RESULT), encode(record))
    assert issued(reconciler, clock) == []
    reconciler.reconcile()
    assert connection.jobs.open_runs() == []


def test_after_a_wipe_open_jobs_come_back_from_the_store(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(10, 10))
    connection.store.put(keys.failed(a_unit(index=1)), b"{}")
    connection.redis.flushall()
    assert issued(reconciler, clock) == [(Stage.TRANSCRIBE, 0)]
    assert connection.jobs.open_runs() == [ASSEMBLE.run]
    assert connection.ledger.read(a_run())[Stage.TRANSCRIBE, 1].outcome == "failed"


def test_after_a_wipe_ended_jobs_are_listed_again(
    connection: Cluster, reconciler: Reconciler
) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(
        keys.of_run(ASSEMBLE.run, keys.RESULT), encode(result_record(canceled=True))
    )
    reconciler.reconcile()
    assert [job for job, _ in connection.jobs.newest(TENANT, 9)] == [JOB]
    assert connection.job(TENANT, JOB).status is Status.CANCELED
    assert not connection.jobs.is_wiped()


def test_after_a_wipe_a_canceled_run_is_canceled_still(
    connection: Cluster, reconciler: Reconciler
) -> None:
    open_job(connection)
    connection.store.put(keys.of_run(ASSEMBLE.run, "canceled"), b"")  # it died before the result
    connection.redis.flushall()
    reconciler.reconcile()
    assert connection.cancellations.is_canceled(ASSEMBLE.run)


def test_after_a_wipe_the_newest_run_is_the_open_one(
    connection: Cluster, reconciler: Reconciler
) -> None:
    open_job(connection)
    cancel(connection, TENANT, JOB)
    second = a_run(2)
    connection.store.put(keys.open_run(second), b"")
    connection.store.put(keys.of_run(second, "started.json"), b"{}")
    connection.redis.flushall()
    reconciler.reconcile()
    assert connection.jobs.open_runs() == [second]
    assert connection.job(TENANT, JOB).run == 2


def test_an_open_run_without_a_manifest_was_never_accepted(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    connection.store.put(keys.open_run(ASSEMBLE.run), b"")
    assert issued(reconciler, clock) == []
    assert connection.jobs.open_runs() == []


def test_a_job_that_only_the_store_knows_is_found_by_the_next_audit(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    connection.jobs.restored()
    reconciler.reconcile()
    write_records(connection.store, a_manifest())
    connection.store.put(keys.open_run(ASSEMBLE.run), b"")
    reconciler.reconcile()
    assert connection.jobs.open_runs() == []
    clock.now += connection.settings.audit_seconds
    reconciler.reconcile()
    assert connection.jobs.open_runs() == [ASSEMBLE.run]


def test_a_passing_cluster_takes_up_only_its_own_jobs(connection: Cluster, clock: Clock) -> None:
    open_job(connection)
    connection.redis.flushall()
    Reconciler(connection, adopt=False, clock=clock).reconcile()
    assert connection.jobs.open_runs() == []


def test_a_run_whose_records_are_gone_stops_nobody_else(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection)
    connection.jobs.add(a_manifest("gone"), a_run(job="gone"))
    assert issued(reconciler, clock) == [(Stage.PREPARE, 0)]


def test_of_two_reconcilers_one_leads(connection: Cluster, redis: Redis) -> None:
    values = connection.settings.model_copy(
        update={"reconcile_seconds": 0.01, "reconcile_grace_seconds": 0.01}
    )
    quick = Cluster(
        **{name: getattr(connection, name) for name in Cluster.__slots__} | {"settings": values}
    )
    open_job(quick)
    redis.set("scriptorium:reconciler", "another", px=300)
    stop = threading.Event()
    thread = threading.Thread(target=Reconciler(quick).run, args=(stop,))
    thread.start()
    try:
        assert eventually(lambda: queued_units(redis) == {a_unit(Stage.PREPARE)})
        assert redis.get("scriptorium:reconciler") != b"another"
    finally:
        stop.set()
        thread.join()


def test_a_fault_ends_a_pass_and_not_the_loop(
    connection: Cluster, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = connection.settings.model_copy(update={"reconcile_seconds": 0.01})
    quick = Cluster(
        **{name: getattr(connection, name) for name in Cluster.__slots__} | {"settings": values}
    )
    passes: list[Exception | None] = [ValueError("a bug"), ConnectionError("x"), None]
    reconciler, stop = Reconciler(quick), threading.Event()

    def reconcile() -> None:
        fault = passes.pop(0)
        if fault is not None:
            raise fault
        stop.set()

    monkeypatch.setattr(reconciler, "reconcile", reconcile)
    reconciler.run(stop)
    assert passes == []


def test_the_loop_outlives_a_redis_that_is_away(
    connection: Cluster, no_redis: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = connection.settings.model_copy(update={"reconcile_seconds": 0.01})
    fields = {name: getattr(connection, name) for name in Cluster.__slots__}
    stop, asked = threading.Event(), 0

    def leads(*_: object, **__: object) -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            stop.set()
        return bool(no_redis.ping())

    broken = Cluster(**fields | {"settings": values})
    monkeypatch.setattr(broken.redis, "set", leads)
    Reconciler(broken).run(stop)
    assert asked == 3


def test_uploads_that_nobody_submitted_go_after_a_day(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    old, new = (f"{int((time.time() - age) * 1000):011x}0123" for age in (25 * 3600, 60))
    for upload in (old, new):
        connection.store.put(keys.upload(TENANT, upload), b"audio")
    reconciler.reconcile()
    assert list(connection.store.list(keys.upload(TENANT, ""))) == [keys.upload(TENANT, new)]


def test_a_load_that_cannot_be_measured_keeps_nothing_from_being_issued_again(
    connection: Cluster,
    reconciler: Reconciler,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(reconciler._scaler, "publish", fail)
    open_job(connection)
    assert issued(reconciler, clock) == [(Stage.PREPARE, 0)]

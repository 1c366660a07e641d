"""What was lost is issued again, once, and nothing else is."""

from __future__ import annotations

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.submission import submit
from orchestrator.reconciler import Reconciler
from orchestrator.reconciler.leading import KEY, LeadLost
from tasks.artifacts import encode
from tasks.fair_queue import clear
from tasks.runs import keys
from tasks.runs.manifest import Plan, Source
from tasks.runs.records import result_record
from tasks.runs.stages import Stage, queues
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, a_unit
from tests.queued_units import queued_units
from tests.unit.orchestrator.reconciler.passes import ASSEMBLE, GRACE, Clock, issued, open_job


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
    assert connection.queues.lengths()["prepare.interactive"] == 1


def test_a_message_that_was_lost_again_is_issued_again(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection)
    assert issued(reconciler, clock)
    clear(connection.redis, queues())
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
    assert connection.queues.lengths()["transcribe.bulk"] == 3


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


def test_a_run_whose_records_are_gone_stops_nobody_else(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection)
    connection.jobs.add(a_manifest("gone"), a_run(job="gone"))
    assert issued(reconciler, clock) == [(Stage.PREPARE, 0)]


def test_a_leader_that_lost_its_lock_issues_nothing_more(
    connection: Cluster,
    reconciler: Reconciler,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_job(connection, a_plan(10, 10, 10))
    reconciler.reconcile()
    clock.now += GRACE
    reconciler.reconcile()
    told: list[Unit] = []

    def lose(unit: Unit) -> None:
        told.append(unit)
        connection.redis.set(KEY, "another", px=60_000)

    monkeypatch.setattr(connection.queues, "issued", lose)
    with pytest.raises(LeadLost):
        reconciler.reconcile()
    assert told == [a_unit(index=0)]
    assert queued_units(connection.redis) == {a_unit(index=0)}
    clock.now += 10 * GRACE
    assert [reconciler.reconcile() for _ in range(3)] == [()] * 3
    assert queued_units(connection.redis) == {a_unit(index=0)}


def test_who_leads_again_gives_each_unit_its_grace_anew(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection)
    reconciler.reconcile()
    clock.now += GRACE
    reconciler.reconcile()  # it is missing once
    connection.redis.set(KEY, "another", px=60_000)
    assert reconciler.reconcile() == ()
    connection.redis.delete(KEY)
    assert issued(reconciler, clock) == [(Stage.PREPARE, 0)]

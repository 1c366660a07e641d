"""What Redis forgot it is told again from the store."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.ids import job_id
from orchestrator.jobs.runs import cancel
from orchestrator.reconciler import Reconciler, restoring
from orchestrator.reconciler.leading import KEY, Leading, LeadLost
from orchestrator.reconciler.restoring import Restoring
from tasks.artifacts import encode, exists
from tasks.fair_queue import clear
from tasks.runs import keys
from tasks.runs.manifest import Manifest
from tasks.runs.records import result_record
from tasks.runs.stages import Stage, queues
from tasks.runs.units import Run
from tasks.state.receipts import Receipt
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.queued_units import queued_units
from tests.unit.orchestrator.reconciler.passes import (
    ASSEMBLE,
    Clock,
    issued,
    open_job,
    restore,
    with_settings,
)


def test_after_a_wipe_open_jobs_come_back_from_the_store(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(10, 10))
    connection.store.put(keys.pcm(TENANT, a_plan().audio), b"")
    connection.store.put(keys.failed(a_unit(index=1)), b"{}")
    connection.redis.flushall()
    restore(connection)
    assert queued_units(connection.redis) == {a_unit(Stage.FAN_OUT)}  # at once, without a grace
    assert issued(reconciler, clock) == []
    clear(connection.redis, queues())
    assert issued(reconciler, clock) == [(Stage.TRANSCRIBE, 0)]
    assert connection.jobs.open_runs() == [ASSEMBLE.run]
    assert connection.ledger.read(a_run())[Stage.TRANSCRIBE, 1].outcome == "failed"


def test_after_a_wipe_ended_jobs_are_listed_again(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(
        keys.of_run(ASSEMBLE.run, keys.RESULT), encode(result_record(canceled=True))
    )
    restore(connection)
    assert [job for _, job in connection.ended.newest(TENANT, 9)] == [JOB]
    assert connection.job(TENANT, JOB).status is Status.CANCELED
    assert not connection.jobs.is_wiped()
    assert not connection.jobs.lacks_ended()


def test_after_a_wipe_a_canceled_run_is_canceled_still(connection: Cluster) -> None:
    open_job(connection)
    connection.store.put(keys.of_run(ASSEMBLE.run, "canceled"), b"")  # it died before the result
    connection.redis.flushall()
    restore(connection)
    assert connection.cancellations.is_canceled(ASSEMBLE.run)


def test_after_a_wipe_the_newest_run_is_the_open_one(connection: Cluster) -> None:
    open_job(connection)
    cancel(connection, TENANT, JOB)
    second = a_run(2)
    connection.store.put(keys.open_run(second), b"")
    connection.store.put(keys.of_run(second, "started.json"), b"{}")
    connection.redis.flushall()
    restore(connection)
    assert connection.jobs.open_runs() == [second]
    assert connection.job(TENANT, JOB).run == 2


def test_an_open_run_without_a_manifest_was_never_accepted(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    connection.store.put(keys.open_run(ASSEMBLE.run), b"")
    restore(connection)
    assert issued(reconciler, clock) == []
    assert connection.jobs.open_runs() == []


def test_a_job_that_only_the_store_knows_is_found_by_the_next_audit(
    connection: Cluster, reconciler: Reconciler
) -> None:
    connection.jobs.restored()
    reconciler.reconcile()
    write_records(connection.store, a_manifest())
    connection.store.put(keys.open_run(ASSEMBLE.run), b"")
    reconciler.reconcile()
    assert connection.jobs.open_runs() == []
    reconciler._restoring.restore()
    assert connection.jobs.open_runs() == [ASSEMBLE.run]


def test_a_passing_cluster_takes_up_only_its_own_jobs(connection: Cluster) -> None:
    open_job(connection)
    connection.redis.flushall()
    restore(connection, adopt=False)
    assert connection.jobs.open_runs() == []
    connection.redis.flushall()
    restore(connection, adopt=False, seen={ASSEMBLE.run})
    assert connection.jobs.open_runs() == [ASSEMBLE.run]
    assert not connection.jobs.lacks_ended()  # they are others', and stay where they are


def test_a_passing_cluster_remembers_its_own_jobs_over_a_wipe(connection: Cluster) -> None:
    reconciler = Reconciler(connection, adopt=False)
    open_job(connection)
    reconciler.reconcile()
    connection.redis.flushall()
    reconciler.reconcile()
    reconciler._restoring.restore()
    assert connection.jobs.open_runs() == [ASSEMBLE.run]


def test_a_run_that_was_submitted_during_the_audit_is_left_alone(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the listing of the store, and was not open when the audit began."""
    open_job(connection, a_plan(10))
    before = connection.ledger.read(a_run())
    monkeypatch.setattr(connection.jobs, "open_runs", list)
    restore(connection)
    assert connection.ledger.read(a_run()) == before


def test_a_leader_that_lost_its_lock_restores_nothing_more(connection: Cluster) -> None:
    open_job(connection)
    connection.redis.flushall()
    with pytest.raises(LeadLost):
        Restoring(connection, Leading(connection.redis, 100.0), adopt=True).restore()
    assert connection.jobs.open_runs() == []
    assert connection.jobs.is_wiped()


def test_a_run_that_was_not_prepared_is_issued_from_its_beginning(connection: Cluster) -> None:
    open_job(connection)
    connection.redis.flushall()
    restore(connection)
    assert queued_units(connection.redis) == {a_unit(Stage.PREPARE)}


def test_without_a_wipe_nothing_is_issued_before_its_grace(connection: Cluster) -> None:
    open_job(connection)
    connection.jobs.drop(a_run())
    restore(connection)
    assert connection.jobs.open_runs() == [a_run()]
    assert queued_units(connection.redis) == set()


def test_messages_in_another_broker_are_not_lost_with_redis(connection: Cluster) -> None:
    open_job(connection)
    connection.redis.flushall()
    restore(with_settings(connection, broker_url=SecretStr("amqp://elsewhere")))
    assert connection.jobs.open_runs() == [a_run()]
    assert queued_units(connection.redis) == set()


def test_a_fault_does_not_start_it_over(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job in ("a", "b", "c"):
        write_records(connection.store, a_manifest(job))
        connection.store.put(keys.open_run(a_run(job=job)), b"")
    add, faults = connection.jobs.add, [StoreUnavailable("it is away")]
    added: list[str] = []

    def fail_once(manifest: Manifest, run: Run, **named: Any) -> None:
        if run.job == "b" and faults:
            raise faults.pop()
        added.append(run.job)
        add(manifest, run, **named)

    monkeypatch.setattr(connection.jobs, "add", fail_once)
    monkeypatch.setattr(restoring, "THREADS", 1)
    with pytest.raises(StoreUnavailable):
        restore(connection)
    assert connection.jobs.is_wiped()
    connection.redis.delete(KEY)
    restore(connection)
    assert [run.job for run in connection.jobs.open_runs()] == ["a", "b", "c"]
    assert sorted(added) == ["a", "b", "c"]  # what was back stayed back


def test_a_refused_submission_leaves_the_index_too(connection: Cluster) -> None:
    """Its records were deleted, and Redis could not be told."""
    connection.jobs.restored()
    connection.jobs.add(a_manifest(), a_run())
    connection.ledger.record(a_unit(Stage.PREPARE), Receipt("computed"))
    restore(connection)
    assert connection.jobs.open_runs() == []
    assert connection.jobs.newest(TENANT, 9) == []
    assert connection.ledger.read(a_run()) == {}


def test_a_deletion_that_redis_forgot_holds(connection: Cluster) -> None:
    open_job(connection)
    delete_job(connection, TENANT, JOB)
    connection.jobs.add(a_manifest(), a_run())  # a replica that was a second behind
    restore(connection)
    assert connection.jobs.open_runs() == []
    assert connection.jobs.newest(TENANT, 9) == []


def test_a_later_run_of_a_job_that_is_nowhere_any_more_leaves_the_index(
    connection: Cluster,
) -> None:
    connection.jobs.restored()
    connection.jobs.add(a_manifest(), a_run(2))
    connection.redis.delete(f"scriptorium:job:{TENANT}/{JOB}")
    restore(connection)
    assert connection.jobs.open_runs() == []


def test_an_end_that_redis_forgot_is_told_again(connection: Cluster) -> None:
    open_job(connection)
    cancel(connection, TENANT, JOB)
    connection.jobs.add(a_manifest(), a_run())
    connection.redis.hdel(f"scriptorium:job:{TENANT}/{JOB}", "summary/1")
    restore(connection)
    assert connection.jobs.open_runs() == []
    assert connection.job(TENANT, JOB).status is Status.CANCELED


def test_a_retry_that_redis_forgot_leaves_the_first_run_closed(connection: Cluster) -> None:
    open_job(connection)
    cancel(connection, TENANT, JOB)
    second = a_run(2)
    connection.store.put(keys.open_run(second), b"")
    connection.store.put(keys.of_run(second, "started.json"), b"{}")
    connection.jobs.add(a_manifest(), a_run())
    restore(connection)
    assert connection.jobs.open_runs() == [second]


def test_a_submission_in_progress_is_left_alone(connection: Cluster) -> None:
    """Its manifest is written, its marker is not: it may be refused yet."""
    young = job_id()
    connection.jobs.restored()
    write_records(connection.store, a_manifest(young))
    restore(connection)
    assert connection.jobs.open_runs() == []
    assert not exists(connection.store, keys.open_run(a_run(job=young)))


def test_what_a_refused_submission_has_left_open_is_removed_in_the_end(
    connection: Cluster,
) -> None:
    young = job_id()
    connection.jobs.restored()
    for job in (young, f"{0:011x}{0:012x}"):
        connection.store.put(keys.open_run(a_run(job=job)), b"")
    restore(connection)
    assert list(connection.store.list(keys.OPEN)) == [keys.open_run(a_run(job=young))]

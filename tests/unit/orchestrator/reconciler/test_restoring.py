"""What Redis forgot it is told again from the store."""

from __future__ import annotations

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status
from orchestrator.jobs.runs import cancel
from orchestrator.reconciler import Reconciler
from orchestrator.reconciler.leading import Leading, LeadLost
from orchestrator.reconciler.restoring import Restoring
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.unit.orchestrator.reconciler.passes import ASSEMBLE, Clock, issued, open_job, restore


def test_after_a_wipe_open_jobs_come_back_from_the_store(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection, a_plan(10, 10))
    connection.store.put(keys.failed(a_unit(index=1)), b"{}")
    connection.redis.flushall()
    restore(connection)
    assert issued(reconciler, clock) == [(Stage.TRANSCRIBE, 0)]
    assert connection.jobs.open_runs() == [ASSEMBLE.run]
    assert connection.ledger.read(a_run())[Stage.TRANSCRIBE, 1].outcome == "failed"


def test_after_a_wipe_ended_jobs_are_listed_again(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(
        keys.of_run(ASSEMBLE.run, keys.RESULT), encode(result_record(canceled=True))
    )
    restore(connection)
    assert [job for job, _ in connection.jobs.newest(TENANT, 9)] == [JOB]
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


def test_jobs_that_have_ended_are_listed_by_the_next_leader_if_the_last_one_could_not(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_job(connection, a_plan(10))
    write_records(connection.store, a_manifest("ended"))
    result = encode(result_record(canceled=True))
    connection.store.put(keys.of_run(a_run(job="ended"), keys.RESULT), result)
    connection.redis.flushall()
    leading = Leading(connection.redis, 1.0)
    assert leading.take()
    with monkeypatch.context() as patch:
        patch.setattr(connection.outbox, "restore", leading.release)  # and its process ends
        with pytest.raises(LeadLost):
            Restoring(connection, leading, adopt=True).restore()
    assert connection.jobs.open_runs() == [ASSEMBLE.run]
    assert not connection.jobs.is_wiped()  # the load can be measured
    assert connection.jobs.lacks_ended()
    restore(connection)
    assert len(connection.jobs.newest(TENANT, 9)) == 2
    assert not connection.jobs.lacks_ended()


def test_a_leader_that_lost_its_lock_restores_nothing_more(connection: Cluster) -> None:
    open_job(connection)
    connection.redis.flushall()
    with pytest.raises(LeadLost):
        Restoring(connection, Leading(connection.redis, 1.0), adopt=True).restore()
    assert connection.jobs.open_runs() == []
    assert connection.jobs.is_wiped()

"""Jobs are followed until they end, through faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Status
from orchestrator.jobs import following as progress
from orchestrator.jobs.following import follow
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.state.receipts import Receipt
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, a_unit, write_records


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.0)


def accepted(connection: Cluster, job: str) -> str:
    write_records(connection.store, a_manifest(job), a_plan(10, 10))
    connection.jobs.add(a_manifest(job), a_run(job=job))
    return job


def publish(connection: Cluster, job: str) -> None:
    unit = a_unit(Stage.ASSEMBLE, job=job)
    connection.store.put(keys.of_run(unit.run, keys.RESULT), encode(result_record(canceled=True)))
    connection.ledger.record(unit, Receipt("computed"))


def test_a_job_is_told_once_for_each_change(connection: Cluster) -> None:
    job = accepted(connection, "a")
    changes = follow(connection, TENANT, [job])
    assert next(changes).status is Status.QUEUED
    connection.ledger.record(a_unit(job=job), Receipt("computed"))
    assert next(changes).chunks.done == 1
    publish(connection, job)
    assert next(changes).status is Status.CANCELED
    assert list(changes) == []


def test_several_jobs_are_followed_until_the_last_has_ended(connection: Cluster) -> None:
    jobs = [accepted(connection, job) for job in "ab"]
    publish(connection, "a")
    changes = follow(connection, TENANT, jobs)
    assert [next(changes).id for _ in jobs] == jobs
    publish(connection, "b")
    assert [job.id for job in changes] == ["b"]


def test_no_jobs_have_ended_already(connection: Cluster) -> None:
    assert list(follow(connection, TENANT, [])) == []


def test_a_fault_that_passes_is_waited_for(
    connection: Cluster, no_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = accepted(connection, "a")
    publish(connection, job)
    faults: list[Callable[[], Any]] = [lambda: no_redis.ping(), StoreUnavailable]
    find = connection.jobs.find

    def faulty(tenant: str, name: str) -> object:
        if faults:
            raise faults.pop()()
        return find(tenant, name)

    monkeypatch.setattr(connection.jobs, "find", faulty)
    assert [job.status for job in follow(connection, TENANT, [job])] == [Status.CANCELED]


def test_an_unknown_job_is_not_waited_for(connection: Cluster) -> None:
    with pytest.raises(UnknownJob):
        next(follow(connection, TENANT, ["nobody"]))


def test_only_a_job_that_has_changed_is_looked_at(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOOK_SECONDS", 1000.0)
    jobs = [accepted(connection, job) for job in "ab"]
    changes = follow(connection, TENANT, jobs)
    assert [next(changes).id for _ in jobs] == jobs
    looks = []
    find = connection.jobs.find

    def counted(tenant: str, name: str) -> object:
        looks.append(name)
        return find(tenant, name)

    monkeypatch.setattr(connection.jobs, "find", counted)
    publish(connection, "b")
    assert next(changes).id == "b"
    assert looks == ["b"]

"""The jobs of a tenant: the open ones of Redis and the ended ones of the store in one list."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis import Redis

from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Status
from orchestrator.cluster.job_index import JobIndex
from orchestrator.cluster.listed_jobs import listed_job, listed_jobs, stored_job
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, write_records

NAMES = [f"{1000 * number:011x}{number:012x}" for number in range(9, -1, -1)]  # the newest first


@pytest.fixture
def cluster(connection: Cluster) -> Cluster:
    """Ten jobs; every third one is open, the others were canceled, and Redis forgot them."""
    for number, name in enumerate(NAMES):
        write_records(connection.store, a_manifest(name), a_plan(10))
        run = a_run(job=name)
        connection.store.put(keys.open_run(run), b"")
        connection.jobs.add(a_manifest(name), run)
        if number % 3:
            result = encode(result_record(canceled=True))
            connection.store.put(keys.of_run(run, keys.RESULT), result)
            connection.settle(run)
            connection.jobs.forget(TENANT, name)
    return connection


@pytest.fixture
def cut_off(cluster: Cluster, no_redis: Redis) -> Cluster:
    return replace(cluster, redis=no_redis, jobs=JobIndex(no_redis))


def names(cluster: Cluster, size: int) -> list[str]:
    return [job for _, job in listed_jobs(cluster, TENANT, size)]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_open_and_ended_jobs_are_one_list_with_redis_and_without(
    cluster: Cluster, cut_off: Cluster, size: int
) -> None:
    assert names(cluster, size) == NAMES
    assert names(cut_off, size) == NAMES


def test_a_job_that_ends_while_redis_is_asked_is_listed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = JobIndex.newest

    def end_first(jobs: JobIndex, *given: object) -> object:
        run = a_run(job=NAMES[0])
        cluster.store.put(keys.of_run(run, keys.RESULT), encode(result_record(canceled=True)))
        cluster.settle(run)
        return newest(jobs, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(JobIndex, "newest", end_first)
    assert names(cluster, 4) == NAMES


def test_without_redis_the_store_says_how_jobs_are(cut_off: Cluster) -> None:
    found = [listed_job(cut_off, TENANT, name) for name in NAMES]
    assert {job.status for job in found[::3]} == {Status.PROCESSING}  # there is a plan
    assert {job.status for job in [*found[1::3], *found[2::3]]} == {Status.CANCELED}
    assert {job.audio_seconds for job in found} == {10.0}


def test_a_job_that_is_deleted_or_cannot_be_read_is_told_without_redis(cut_off: Cluster) -> None:
    cut_off.store.put(keys.tombstone(TENANT, NAMES[0]), b"{}")
    with pytest.raises(UnknownJob):
        listed_job(cut_off, TENANT, NAMES[0])
    with pytest.raises(UnknownJob):
        listed_job(cut_off, TENANT, "nothing")
    key = keys.of_run(a_run(job=NAMES[1]), keys.RESULT)
    cut_off.store.delete(key)
    cut_off.store.put(key, b"{")
    assert (stored_job(cut_off, TENANT, NAMES[1]).error or {})["code"]

"""The index of jobs in Redis, and what of it the store can tell again."""

from __future__ import annotations

import pytest
from redis import Redis

from orchestrator.jobs import Summary
from orchestrator.store import JobStore, known_jobs, newest_run, open_runs
from tasks.artifacts import keys
from tasks.artifacts.memory import MemoryStore
from tasks.stages import Stage
from tests.unit.examples import JOB, TENANT, a_manifest, a_unit, write_records

SUMMARY = Summary(missing=2, warnings=({"code": "no_speech"},), language="es")


@pytest.fixture
def jobs(redis: Redis) -> JobStore:
    return JobStore(redis)


def test_an_unknown_job_is_not_found(jobs: JobStore) -> None:
    assert jobs.find(TENANT, JOB) is None


def test_a_job_is_found_with_its_newest_run(jobs: JobStore) -> None:
    jobs.add(a_manifest(), 1)
    assert jobs.find(TENANT, JOB) == (a_manifest(), 1, None)
    jobs.add(a_manifest(), 2)
    assert jobs.find(TENANT, JOB) == (a_manifest(), 2, None)


def test_a_closed_run_says_what_it_came_to(jobs: JobStore) -> None:
    jobs.add(a_manifest(), 1)
    jobs.close(a_unit(), SUMMARY)
    assert jobs.find(TENANT, JOB) == (a_manifest(), 1, SUMMARY)
    assert jobs.open_runs() == []


def test_the_summary_of_an_earlier_run_is_not_that_of_the_next(jobs: JobStore) -> None:
    jobs.add(a_manifest(), 1)
    jobs.close(a_unit(), SUMMARY)
    jobs.add(a_manifest(), 2)
    assert jobs.find(TENANT, JOB) == (a_manifest(), 2, None)


def test_a_run_closed_before_its_job_is_indexed_is_not_found(jobs: JobStore) -> None:
    jobs.close(a_unit(), SUMMARY)
    assert jobs.find(TENANT, JOB) is None


def test_open_runs_are_those_without_a_result(jobs: JobStore) -> None:
    jobs.add(a_manifest("b"), 2)
    jobs.add(a_manifest("a"), 1)
    jobs.add(a_manifest("c"), 1, is_open=False)
    assert jobs.open_runs() == [
        a_unit(Stage.ASSEMBLE, job="a"),
        a_unit(Stage.ASSEMBLE, job="b", run=2),
    ]


def test_the_newest_jobs_come_first_and_by_pages(jobs: JobStore) -> None:
    for second, job in enumerate("abcd"):
        jobs.add(a_manifest(job).model_copy(update={"created_at": float(second)}), 1)
    assert jobs.newest(TENANT, 2) == ["d", "c"]
    assert jobs.newest(TENANT, 2, offset=2) == ["b", "a"]
    assert jobs.newest("another", 2) == []


def test_a_wipe_is_noticed_once_redis_knew_us(jobs: JobStore, redis: Redis) -> None:
    assert jobs.is_wiped()
    jobs.restored()
    assert not jobs.is_wiped()
    redis.flushall()
    assert jobs.is_wiped()


def test_the_store_knows_open_runs_and_jobs() -> None:
    store = MemoryStore()
    write_records(store, a_manifest("a"))
    store.put(keys.jobs(TENANT) + "b/plan.json", b"{}")
    store.put(keys.open_run(a_unit(job="a", run=3)), b"")
    assert list(known_jobs(store, TENANT)) == ["a"]
    assert list(open_runs(store)) == [a_unit(Stage.ASSEMBLE, job="a", run=3)]


def test_the_newest_run_is_the_last_that_was_started() -> None:
    store = MemoryStore()
    assert newest_run(store, TENANT, JOB) == 1
    for run in (2, 10, 9):
        store.put(keys.run(a_unit(run=run), "started.json"), b"{}")
    store.put(keys.run(a_unit(run=11), "canceled"), b"")
    assert newest_run(store, TENANT, JOB) == 10

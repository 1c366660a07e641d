"""The index of jobs in Redis, and what of it the store can tell again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from redis.client import Pipeline

from orchestrator.cluster.job import Summary
from orchestrator.cluster.job_index import ENDED_SECONDS, JobIndex, newest_run, open_runs
from tasks.artifacts.memory import MemoryStore
from tasks.runs import keys
from tasks.state.receipts import CHANGED, Ledger, Receipt
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.examples import JOB, TENANT, a_manifest, a_run, a_unit

SUMMARY = Summary(missing=2, warnings=({"code": "no_speech"},), language="es")


@pytest.fixture
def jobs(redis: Redis) -> JobIndex:
    return JobIndex(redis)


def test_an_unknown_job_is_not_found(jobs: JobIndex) -> None:
    assert jobs.find(TENANT, JOB) is None


def test_a_job_is_found_with_its_newest_run(jobs: JobIndex) -> None:
    jobs.add(a_manifest(), a_run())
    assert jobs.find(TENANT, JOB) == (a_manifest(), a_run(), None)
    jobs.add(a_manifest(), a_run(2))
    assert jobs.find(TENANT, JOB) == (a_manifest(), a_run(2), None)


def test_a_closed_run_says_what_it_came_to(jobs: JobIndex) -> None:
    jobs.add(a_manifest(), a_run())
    jobs.close(a_run(), SUMMARY)
    assert jobs.find(TENANT, JOB) == (a_manifest(), a_run(), SUMMARY)
    assert jobs.open_runs() == []


def test_an_earlier_run_that_is_indexed_late_does_not_hide_the_next(jobs: JobIndex) -> None:
    jobs.add(a_manifest(), a_run(10))
    jobs.add(a_manifest(), a_run(9), is_open=False)
    assert jobs.find(TENANT, JOB) == (a_manifest(), a_run(10), None)


def test_the_summary_of_an_earlier_run_is_not_that_of_the_next(jobs: JobIndex) -> None:
    jobs.add(a_manifest(), a_run())
    jobs.close(a_run(), SUMMARY)
    jobs.add(a_manifest(), a_run(2))
    assert jobs.find(TENANT, JOB) == (a_manifest(), a_run(2), None)


def test_a_run_closed_before_its_job_is_indexed_is_not_found(jobs: JobIndex) -> None:
    jobs.close(a_run(), SUMMARY)
    assert jobs.find(TENANT, JOB) is None


def test_all_that_is_known_of_an_ended_job_expires(jobs: JobIndex, redis: Redis) -> None:
    jobs.add(a_manifest(), a_run())
    Ledger(redis).record(a_unit(), Receipt("computed"))
    assert redis.ttl(f"scriptorium:job:{TENANT}/{JOB}") == -1
    jobs.close(a_run(), SUMMARY)
    left: Any = redis.keys("scriptorium:*")
    assert not [key for key in left if not 0 < redis.ttl(key) <= ENDED_SECONDS]


def test_a_job_that_runs_again_is_kept_until_it_ends(jobs: JobIndex, redis: Redis) -> None:
    jobs.add(a_manifest(), a_run())
    jobs.close(a_run(), SUMMARY)
    assert jobs.newest(TENANT, 10) == []
    jobs.add(a_manifest(), a_run(2))
    assert redis.ttl(f"scriptorium:job:{TENANT}/{JOB}") == -1
    assert jobs.newest(TENANT, 10) == [(1000.0, JOB)]


def test_the_late_end_of_an_earlier_run_changes_nothing_of_the_next(
    jobs: JobIndex, redis: Redis
) -> None:
    jobs.add(a_manifest(), a_run())
    jobs.add(a_manifest(), a_run(2))
    jobs.close(a_run(), SUMMARY)
    assert redis.ttl(f"scriptorium:job:{TENANT}/{JOB}") == -1
    assert jobs.newest(TENANT, 10) == [(1000.0, JOB)]
    jobs.close(a_run(2), Summary(canceled=True))
    assert jobs.newest(TENANT, 10) == []


def test_a_retry_while_its_last_run_is_closed_once_more_stays_listed(
    jobs: JobIndex, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.add(a_manifest(), a_run())
    jobs.close(a_run(), SUMMARY)
    multi = Pipeline.multi

    def retry_first(pipe: Pipeline) -> None:
        if jobs.run_number(TENANT, JOB) == 1:
            JobIndex(redis).add(a_manifest(), a_run(2))
        multi(pipe)

    monkeypatch.setattr(Pipeline, "multi", retry_first)
    jobs.close(a_run(), SUMMARY)
    assert jobs.newest(TENANT, 10) == [(1000.0, JOB)]
    assert jobs.open_runs() == [a_run(2)]
    assert redis.ttl(f"scriptorium:job:{TENANT}/{JOB}") == -1


def test_a_list_of_an_earlier_release_is_tidied_and_what_is_open_stays(
    jobs: JobIndex, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.cluster.job_lists._PIECE", 3)
    for number in range(8):
        jobs.add(a_manifest(f"job-{number}"), a_run(job=f"job-{number}"))
    for number in (0, 2, 3, 4, 7):
        jobs.close(a_run(job=f"job-{number}"), SUMMARY)
        redis.zadd(f"scriptorium:jobs:{TENANT}", {f"job-{number}": 1000.0})
        redis.zadd(f"scriptorium:jobs:partial/{TENANT}", {f"job-{number}": 1000.0})
    redis.zadd(f"scriptorium:jobs:{TENANT}", {f"old-{number}": 1.0 for number in range(7)})
    assert jobs.tidy(TENANT) == 12
    assert [job for _, job in jobs.newest(TENANT, 99)] == ["job-1", "job-5", "job-6"]
    assert not redis.exists(f"scriptorium:jobs:partial/{TENANT}")


def test_open_runs_are_those_without_a_result(jobs: JobIndex) -> None:
    jobs.add(a_manifest("b"), a_run(2, job="b"))
    jobs.add(a_manifest("a"), a_run(job="a"))
    jobs.add(a_manifest("c"), a_run(job="c"), is_open=False)
    assert jobs.open_runs() == [
        a_run(job="a"),
        a_run(2, job="b"),
    ]


def test_the_newest_jobs_come_first_and_by_pages(jobs: JobIndex) -> None:
    for second, job in enumerate("abcd"):
        jobs.add(a_manifest(job).model_copy(update={"created_at": float(second)}), a_run(job=job))
    assert jobs.newest(TENANT, 2) == [(3.0, "d"), (2.0, "c")]
    assert jobs.newest(TENANT, 2, before=(2.0, "c")) == [(1.0, "b"), (0.0, "a")]
    assert jobs.newest("another", 2) == []


def test_a_job_that_ends_while_a_page_is_read_does_not_make_the_page_the_last(
    jobs: JobIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second, job in enumerate("abcd"):
        jobs.add(a_manifest(job).model_copy(update={"created_at": float(second)}), a_run(job=job))
    same = JobIndex._same

    def end_first(index: JobIndex, key: str, time: float) -> Any:
        index.close(a_run(job="c"), SUMMARY)
        return same(index, key, time)

    monkeypatch.setattr(JobIndex, "_same", end_first)
    assert jobs.newest(TENANT, 2) == [(3.0, "d"), (2.0, "c")]


def test_a_wipe_is_noticed_once_redis_knew_us(jobs: JobIndex, redis: Redis) -> None:
    assert jobs.is_wiped()
    jobs.restored()
    assert not jobs.is_wiped()
    redis.flushall()
    assert jobs.is_wiped()


def test_the_store_knows_open_runs() -> None:
    store = MemoryStore()
    store.put(keys.open_run(a_run(3, job="a")), b"")
    assert list(open_runs(store)) == [a_run(3, job="a")]


def test_the_newest_run_is_the_last_that_was_started() -> None:
    store = MemoryStore()
    assert newest_run(store, TENANT, JOB) == a_run()
    for run in (2, 10, 9):
        store.put(keys.of_run(a_run(run), "started.json"), b"{}")
    assert newest_run(store, TENANT, JOB) == a_run(10)


def test_a_run_whose_retry_died_halfway_is_the_newest_while_it_is_open_and_after() -> None:
    store = MemoryStore()
    store.put(keys.of_run(a_run(), keys.RESULT), b"{}")
    store.put(keys.open_run(a_run(2)), b"")
    assert newest_run(store, TENANT, JOB) == a_run(2)
    store.put(keys.of_run(a_run(2), keys.RESULT), b"{}")
    store.delete(keys.open_run(a_run(2)))
    assert newest_run(store, TENANT, JOB) == a_run(2)


def admit(
    jobs: JobIndex, job: str, *, in_all: int = 9, in_flight: int = 9, now: float = 0.0
) -> str:
    run = a_run(job=job)
    return jobs.admit(run, in_all=in_all, in_flight=in_flight, now=now).answer


def test_a_tenant_has_no_more_places_than_its_quota_however_many_ask_at_once(
    jobs: JobIndex,
) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: admit(jobs, f"job{n}", in_flight=5), range(40)))
    assert answers.count("admitted") == 5 and answers.count("quota") == 35


def test_a_job_is_admitted_once_however_often_it_asks(jobs: JobIndex) -> None:
    assert [admit(jobs, "same", in_flight=1) for _ in range(3)] == ["admitted"] * 3
    jobs.add(a_manifest("same"), a_run(job="same"))
    assert admit(jobs, "same", in_flight=1) == "admitted"
    assert admit(jobs, "other", in_flight=1) == "quota"


def test_a_job_that_ended_or_was_refused_gives_its_place_back(jobs: JobIndex) -> None:
    admit(jobs, JOB, in_flight=1)
    jobs.add(a_manifest(), a_run())
    jobs.close(a_run(), SUMMARY)
    assert admit(jobs, "next", in_flight=1) == "admitted"
    jobs.refuse(a_run(job="next"))
    assert admit(jobs, "third", in_flight=1) == "admitted"


def test_the_next_run_of_a_job_never_has_two_places(jobs: JobIndex) -> None:
    assert jobs.admit(a_run(2), in_all=9, in_flight=3, now=0.0).answer == "admitted"
    assert jobs.room(TENANT, in_all=9, in_flight=3, now=0.0) == 2
    jobs.add(a_manifest(), a_run(2))
    assert jobs.room(TENANT, in_all=9, in_flight=3, now=0.0) == 2


def test_a_submission_that_died_gives_its_place_back_a_minute_later(jobs: JobIndex) -> None:
    admit(jobs, "died", in_flight=1)
    assert admit(jobs, "next", in_flight=1, now=59.0) == "quota"
    assert admit(jobs, "next", in_flight=1, now=61.0) == "admitted"


def test_all_tenants_together_have_no_more_places_than_the_cluster(jobs: JobIndex) -> None:
    jobs.add(a_manifest("theirs").model_copy(update={"tenant": "other"}), a_run(job="theirs"))
    assert admit(jobs, JOB, in_all=1) == "full"
    assert admit(jobs, JOB, in_all=2) == "admitted"


def test_a_run_that_was_indexed_while_its_job_was_forgotten_can_be_forgotten_too(
    jobs: JobIndex, redis: Redis
) -> None:
    jobs.admit(a_run(2), in_all=9, in_flight=9, now=0.0)
    jobs.add(a_manifest(), a_run(2))
    # By a process that has read before that the job has one run.
    redis.delete(f"scriptorium:job:{TENANT}/{JOB}")
    jobs.forget(TENANT, JOB, 2)
    assert jobs.open_runs() == []
    assert jobs.room(TENANT, in_all=9, in_flight=9, now=0.0) == 9


def test_a_forgotten_job_is_in_no_index(jobs: JobIndex) -> None:
    jobs.add(a_manifest(), a_run())
    jobs.add(a_manifest(), a_run(2))
    jobs.add(a_manifest("stays"), a_run(job="stays"))
    jobs.forget(TENANT, JOB)
    assert jobs.find(TENANT, JOB) is None
    assert [job for _, job in jobs.newest(TENANT, 9)] == ["stays"]
    assert {unit.job for unit in jobs.open_runs()} == {"stays"}
    assert admit(jobs, "next", in_flight=2) == "admitted"


def test_pages_of_jobs_of_one_moment_miss_none_and_repeat_none(jobs: JobIndex) -> None:
    for job in "abcdefg":
        jobs.add(a_manifest(job), a_run(job=job))
    seen: list[str] = []
    before: tuple[float, str] | None = None
    while page := jobs.newest(TENANT, 3, before):
        seen += [job for _, job in page]
        before = page[-1]
    assert seen == list("abcdefg")


def test_whoever_listens_is_told_which_job_changed(jobs: JobIndex, redis: Redis) -> None:
    with redis.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(CHANGED)
        channel.get_message(timeout=PATIENCE_SECONDS)
        jobs.add(a_manifest(), a_run())
        jobs.close(a_run(), SUMMARY)
        heard = [channel.get_message(timeout=PATIENCE_SECONDS) for _ in range(2)]
    assert [message and message["data"] for message in heard] == [f"{TENANT}/{JOB}".encode()] * 2

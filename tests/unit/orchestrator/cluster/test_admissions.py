"""What open runs cost is counted in sums that follow each of them exactly."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from orchestrator.cluster.admissions import Admission
from orchestrator.cluster.costs import UNKNOWN, Bounds, Cost, costs_of
from orchestrator.cluster.job import Summary
from orchestrator.cluster.job_index import JobIndex
from orchestrator.cluster.job_lists import open_of
from tests.inputs.examples import TENANT, a_manifest, a_run

HOUR = Cost(units=12, audio_seconds=3600.0, stored_bytes=10)
TWO_HOURS = Bounds(audio_seconds=7200.0)


@pytest.fixture
def jobs(redis: Redis) -> JobIndex:
    return JobIndex(redis)


def admit(
    jobs: JobIndex, job: str, cost: Cost = HOUR, bounds: Bounds = TWO_HOURS, now: float = 0.0
) -> Admission:
    run = a_run(job=job)
    return jobs.admit(run, in_all=1000, in_flight=1000, now=now, cost=cost, bounds=bounds)


def opened(jobs: JobIndex, job: str, cost: Cost = HOUR) -> None:
    jobs.add(a_manifest(job), a_run(job=job), cost=cost)


def test_no_more_is_admitted_than_a_bound_allows_however_many_ask_at_once(jobs: JobIndex) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: admit(jobs, f"job{n}").answer, range(40)))
    assert answers.count("admitted") == 2 and answers.count("audio_seconds") == 38
    assert jobs.in_flight(TENANT) == Cost(24, 7200.0, 20)
    assert admit(jobs, "next").in_flight.audio_seconds == 7200.0
    assert jobs.room(TENANT, in_all=9, in_flight=9, now=0.0, bounds=TWO_HOURS) == 0
    assert jobs.room(TENANT, in_all=9, in_flight=9, now=0.0) == 7


@pytest.mark.parametrize(
    ("bounds", "answer"),
    [
        (Bounds(units=20), "units"),
        (Bounds(stored_bytes=19), "stored_bytes"),
        (Bounds(units=24, audio_seconds=7200.0, stored_bytes=20), "admitted"),
        (Bounds(), "admitted"),
    ],
)
def test_each_bound_holds_by_itself(jobs: JobIndex, bounds: Bounds, answer: str) -> None:
    admit(jobs, "first")
    assert admit(jobs, "next", bounds=bounds).answer == answer


def test_a_job_over_the_bound_by_itself_is_admitted_when_nothing_else_is(jobs: JobIndex) -> None:
    long = Cost(audio_seconds=9999.0)
    assert admit(jobs, "long", long).answer == "admitted"
    assert admit(jobs, "long", long).answer == "admitted"  # it asks again
    assert admit(jobs, "short", Cost(audio_seconds=1.0)).answer == "audio_seconds"
    jobs.refuse(a_run(job="long"))
    assert admit(jobs, "short", Cost(audio_seconds=1.0)).answer == "admitted"
    assert admit(jobs, "long", long).answer == "audio_seconds"


def test_what_is_measured_takes_the_place_of_the_estimate(jobs: JobIndex) -> None:
    opened(jobs, "a")
    assert jobs.unmeasured() == [a_run(job="a")]
    jobs.put_cost(a_run(job="a"), Cost(3, 60.0, 5, is_measured=True))
    assert jobs.unmeasured() == []
    assert jobs.in_flight(TENANT) == Cost(3, 60.0, 5)


def test_a_run_that_has_ended_is_not_counted_when_it_is_measured_late(
    jobs: JobIndex, redis: Redis
) -> None:
    opened(jobs, "a")
    jobs.close(a_run(job="a"), Summary())
    jobs.put_cost(a_run(job="a"), HOUR)
    assert jobs.in_flight(TENANT) == UNKNOWN
    assert jobs.unmeasured() == []
    assert not redis.exists(costs_of(TENANT))  # nothing stays for ever


def test_a_submission_that_died_gives_back_its_seconds_a_minute_later(jobs: JobIndex) -> None:
    admit(jobs, "died", Cost(audio_seconds=7200.0))
    assert admit(jobs, "next", now=59.0).answer == "audio_seconds"
    assert admit(jobs, "next", now=61.0).answer == "admitted"
    assert jobs.in_flight(TENANT) == HOUR


def test_runs_that_an_earlier_release_closed_do_not_count_for_ever(
    jobs: JobIndex, redis: Redis
) -> None:
    for job in ("a", "b"):
        opened(jobs, job)
        redis.srem("scriptorium:open", a_run(job=job).name)
        redis.srem(open_of(TENANT), a_run(job=job).name)
    assert admit(jobs, "next").answer == "admitted"
    assert jobs.in_flight(TENANT) == HOUR


def test_who_asks_for_room_before_each_submission_is_not_kept_waiting_for_ever(
    jobs: JobIndex, redis: Redis
) -> None:
    def room(now: float) -> int:
        return jobs.room(TENANT, in_all=9, in_flight=2, now=now, bounds=TWO_HOURS)

    for job in ("died", "too"):
        admit(jobs, job)
    assert (room(59.0), room(61.0)) == (0, 2)
    for job in ("a", "b"):
        opened(jobs, job)
        redis.srem("scriptorium:open", a_run(job=job).name)  # as an earlier release closes it
        redis.srem(open_of(TENANT), a_run(job=job).name)
    assert room(62.0) == 2
    assert jobs.in_flight(TENANT) == UNKNOWN


def test_sums_equal_what_is_open_after_any_order_of_events(jobs: JobIndex) -> None:
    dice, expected = random.Random(18), dict[str, Cost]()
    for _ in range(400):
        job = f"job{dice.randrange(12)}"
        cost = Cost(dice.randrange(99), dice.randrange(10**7) / 1000, dice.randrange(10**12))
        match dice.randrange(6):
            case 0 | 1:
                opened(jobs, job, cost)
                expected[job] = cost
            case 2:
                jobs.close(a_run(job=job), Summary())
                expected.pop(job, None)
            case 3:
                jobs.drop(a_run(job=job))
                expected.pop(job, None)
            case 4:
                jobs.forget(TENANT, job)
                expected.pop(job, None)
            case _:
                jobs.put_cost(a_run(job=job), cost)
                if job in expected:
                    expected[job] = cost
        numbers = [it.numbers for it in expected.values()]
        sums = [sum(each[index] for each in numbers) for index in range(3)]
        assert jobs.in_flight(TENANT).numbers == sums

"""The index of ended jobs: names in the store, from the newest job on."""

from __future__ import annotations

import random

import pytest

from orchestrator.cluster.ended_jobs import ENDED, FINAL, EndedJobs, ended_key
from orchestrator.cluster.job import Status
from orchestrator.cluster.job_order import Place, in_order
from tasks.artifacts import encode
from tasks.artifacts.memory import MemoryStore
from tasks.runs import keys
from tasks.runs.records import Records
from tests.inputs.examples import TENANT, a_manifest, a_run


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def ended(store: MemoryStore) -> EndedJobs:
    return EndedJobs(store, Records(store))


def places(count: int) -> list[Place]:
    """Ids of ours, three of each moment, from the newest on."""
    found = [
        (number // 3 * 7e3 + 0.001 * number, f"{number // 3 * 7000:011x}{number:012x}")
        for number in range(count)
    ]
    return sorted(((time // 7e3 * 7e3, job) for time, job in found), key=in_order)


def pages(ended: EndedJobs, size: int, *statuses: Status) -> list[Place]:
    found: list[Place] = []
    before: Place | None = None
    while page := ended.newest(TENANT, size, before, statuses or FINAL):
        assert len(page) <= size
        found += page
        before = page[-1]
    return found


@pytest.mark.parametrize("size", [1, 2, 5, 99])
def test_pages_have_every_job_once_from_the_newest_on(ended: EndedJobs, size: int) -> None:
    made, chance = places(40), random.Random(1)
    how = {place: chance.choice(FINAL) for place in made}
    for place, status in chance.sample(sorted(how.items()), len(how)):
        ended.add(TENANT, place, status)
        ended.add("another", place, status)
    assert pages(ended, size) == made
    for status in FINAL:
        assert pages(ended, size, status) == [it for it in made if how[it] is status]


def test_what_is_noted_twice_is_one_name(ended: EndedJobs, store: MemoryStore) -> None:
    for _ in range(2):
        ended.end(a_run(job=places(1)[0][1]), Status.FAILED)
    assert len(list(store.list(ENDED))) == 1


def test_a_job_that_ran_again_has_ended_as_its_last_run(
    ended: EndedJobs, store: MemoryStore
) -> None:
    ((_, job),) = places(1)
    ended.end(a_run(job=job), Status.FAILED)
    ended.end(a_run(2, job=job), Status.COMPLETED)
    assert pages(ended, 9, Status.COMPLETED) == places(1)
    assert pages(ended, 9, Status.FAILED) == []
    ended.remove(TENANT, places(1)[0])
    assert list(store.list(ENDED)) == []


def test_a_job_with_two_names_is_listed_once(ended: EndedJobs) -> None:
    """A process died between the two."""
    for status in FINAL:
        ended.add(TENANT, places(1)[0], status)
    assert ended.newest(TENANT, 9) == places(1)


def test_an_id_that_says_no_time_has_that_of_its_manifest(
    ended: EndedJobs, store: MemoryStore
) -> None:
    store.put(keys.manifest(TENANT, "call-7"), encode(a_manifest("call-7").model_dump(mode="json")))
    ended.end(a_run(job="call-7"), Status.PARTIAL)
    assert ended.newest(TENANT, 9) == [(1000.0, "call-7")]


def test_stray_objects_are_passed_over(ended: EndedJobs, store: MemoryStore) -> None:
    for name in ("x", "00000/zzz-job", "00000/000000-"):
        store.put(f"{ENDED}{TENANT}/failed/{name}", b"")
    assert ended.newest(TENANT, 9) == []


@pytest.mark.parametrize("time", [-5.0, 1e300, 1e308])
def test_any_time_that_a_client_asks_for_gives_a_key(time: float) -> None:
    assert ended_key(TENANT, (time, "x"), Status.FAILED).startswith(f"{ENDED}{TENANT}/failed/")


def test_the_ends_of_some_jobs_are_found_among_many(ended: EndedJobs) -> None:
    made = places(60)
    for number, place in enumerate(made):
        ended.add(TENANT, place, FINAL[number % 4])
    asked = [made[10], made[31], made[33]]
    assert ended.statuses(TENANT, asked) == {
        job: FINAL[made.index((time, job)) % 4] for time, job in asked
    }
    assert ended.statuses(TENANT, []) == {}

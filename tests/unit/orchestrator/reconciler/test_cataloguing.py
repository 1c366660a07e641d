"""The walk over all jobs of the store: every job is listed, and what has no end is open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.ended_jobs import ENDED, FINAL, EndedJobs
from orchestrator.cluster.job import Status
from orchestrator.cluster.job_folder import JobFolder
from orchestrator.cluster.job_order import Place
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.runs import retry
from orchestrator.reconciler import cataloguing
from orchestrator.reconciler.cataloguing import EVERY_SECONDS, Cataloguing
from orchestrator.reconciler.indexing import Indexing
from orchestrator.reconciler.leading import Leading, LeadLost
from orchestrator.reconciler.restoring import Restoring
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tests.inputs.examples import JOB, TENANT, a_manifest, a_run, write_records
from tests.unit.orchestrator.reconciler.passes import Clock, open_job, restore

RESULT = encode(result_record(transcript={}))


@pytest.fixture
def leading(connection: Cluster) -> Iterator[Leading]:
    found = Leading(connection.redis, 100.0)
    assert found.take()
    yield found
    found.release()


@pytest.fixture
def catalog(connection: Cluster, leading: Leading, clock: Clock) -> Cataloguing:
    connection.jobs.restored(lists_ended=False)
    restoring = Restoring(connection, leading, adopt=True)
    return Cataloguing(connection, leading, restoring, clock)


def ended(connection: Cluster, job: str, tenant: str = TENANT) -> None:
    manifest = a_manifest(job).model_copy(update={"tenant": tenant})
    write_records(connection.store, manifest)
    run = Run(tenant, job, 1)
    connection.store.put(keys.of_run(run, "timings.json"), b"{}")
    connection.store.put(keys.of_run(run, keys.RESULT), RESULT)


def listed(connection: Cluster, tenant: str = TENANT) -> list[str]:
    return [job for _, job in connection.ended.newest(tenant, 99)]


def test_every_job_that_has_ended_of_every_tenant_is_listed_without_a_read(
    connection: Cluster, catalog: Cataloguing, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tenants too that have no key and no quota, and whose names are like others' beginnings."""
    for number, tenant in enumerate(("a", "a-b", "a.b", "ab", "a0")):
        ended(connection, f"{1_000 * number:011x}{number:012x}", tenant)

    def read(*_: object) -> bytes:
        raise AssertionError("an object was read")

    for walk in range(2):
        monkeypatch.setattr(connection.store, "get", read)
        catalog.walk()
        for number, tenant in enumerate(("a", "a-b", "a.b", "ab", "a0")):
            found = connection.ended.newest(tenant, 9, statuses=[Status.COMPLETED])
            assert found == [(float(number), f"{1_000 * number:011x}{number:012x}")], walk
        assert not connection.jobs.lacks_ended()
        clock.now += EVERY_SECONDS


def test_a_listed_job_is_described_once_it_is_asked_for(
    connection: Cluster, catalog: Cataloguing
) -> None:
    ended(connection, JOB)
    catalog.walk()
    assert connection.jobs.find(TENANT, JOB) is None
    assert connection.job(TENANT, JOB).status is Status.COMPLETED


def test_a_fault_or_another_leader_goes_on_where_the_walk_has_come_to(
    connection: Cluster, catalog: Cataloguing, leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cataloguing, "PAGE", 2)
    for job in ("a", "b", "c", "d", "e"):
        ended(connection, job)
    add, added, is_away = connection.ended.add, list[str](), True

    def fail(tenant: str, place: Place, status: Status) -> None:
        added.append(place[1])
        if is_away and place[1] in "cd":
            raise StoreUnavailable("it is away")
        add(tenant, place, status)

    monkeypatch.setattr(EndedJobs, "add", lambda _, *given: fail(*given))
    with pytest.raises(StoreUnavailable):
        catalog.walk()
    is_away = False
    assert connection.jobs.lacks_ended()
    Cataloguing(connection, leading, Restoring(connection, leading, adopt=True)).walk()
    assert added.count("a") == added.count("b") == 1 and added.count("c") == 2
    assert listed(connection) == ["a", "b", "c", "d", "e"]
    assert not connection.jobs.lacks_ended()


def test_a_wipe_during_the_walk_begins_it_anew(
    connection: Cluster, catalog: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cataloguing, "PAGE", 1)
    for job in ("a", "b"):
        ended(connection, job)
    compare = Indexing.compare

    def wipe(own: Indexing, *given: Any) -> None:
        compare(own, *given)
        if given[1] == "a":
            connection.redis.flushall()

    with monkeypatch.context() as patch:
        patch.setattr(Indexing, "compare", wipe)
        with pytest.raises(LeadLost):
            catalog.walk()
    for key in list(connection.store.list(ENDED)):
        connection.store.delete(key)
    restore(connection)
    assert listed(connection) == ["a", "b"]


def test_it_walks_once_a_day(connection: Cluster, catalog: Cataloguing, clock: Clock) -> None:
    catalog.walk()
    ended(connection, JOB)
    catalog.walk()
    assert listed(connection) == []
    clock.now += EVERY_SECONDS
    catalog.walk()
    assert listed(connection) == [JOB]


def test_it_waits_until_the_open_runs_are_back(connection: Cluster, catalog: Cataloguing) -> None:
    ended(connection, JOB)
    connection.redis.delete("scriptorium:known")
    catalog.walk()
    assert listed(connection) == []


@pytest.mark.parametrize("run", [1, 2])
def test_a_job_without_an_end_and_without_a_marker_is_opened_again(
    connection: Cluster, catalog: Cataloguing, run: int
) -> None:
    """So it is in a copy of a bucket that was written to while it was copied."""
    open_job(connection)
    if run == 2:
        connection.store.put(keys.of_run(a_run(), keys.RESULT), RESULT)
        connection.store.delete(keys.open_run(a_run()))
        connection.store.put(keys.of_run(a_run(2), "started.json"), b"{}")
    connection.store.delete(keys.open_run(a_run()))
    connection.redis.flushall()
    restore(connection)
    assert connection.jobs.open_runs() == [a_run(run)]
    assert exists(connection.store, keys.open_run(a_run(run)))
    assert connection.job(TENANT, JOB).run == run


@pytest.mark.parametrize("end", ["result", "tombstone"])
def test_a_job_with_an_end_stays_closed(
    connection: Cluster, catalog: Cataloguing, end: str
) -> None:
    write_records(connection.store, a_manifest())
    ends = {
        "result": (keys.of_run(a_run(), keys.RESULT), RESULT),
        "tombstone": (keys.tombstone(TENANT, JOB), b"{}"),
    }
    connection.store.put(*ends[end])
    catalog.walk()
    assert connection.jobs.open_runs() == []
    assert list(connection.store.list(keys.OPEN)) == []


def test_a_job_that_ends_or_is_retried_while_it_is_looked_at_stays_as_it_is(
    connection: Cluster, catalog: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(keys.source(TENANT, "ab"), b"talk")
    compare = Indexing.compare

    def end(own: Indexing, *given: Any) -> None:
        compare(own, *given)
        canceled = encode(result_record(canceled=True))
        connection.store.put(keys.of_run(a_run(), keys.RESULT), canceled)

    monkeypatch.setattr(Indexing, "compare", end)
    catalog.walk()
    assert list(connection.store.list(keys.OPEN)) == []
    retry(connection, TENANT, JOB)
    assert connection.jobs.open_runs() == [a_run(2)]


def test_after_a_wipe_jobs_are_listed_by_how_they_ended(
    connection: Cluster, catalog: Cataloguing
) -> None:
    results = {
        "a": result_record(transcript={}),
        "b": result_record(canceled=True),
        "c": result_record(error={"code": "unreadable_audio"}),
        "d": result_record(transcript={}, missing=[{"start": 0.0, "end": 1.0}]),
    }
    for job, result in results.items():
        run = a_run(job=job)
        write_records(connection.store, a_manifest(job))
        connection.store.put(keys.of_run(run, keys.RESULT), encode(result))
        if job != "b":  # as a canceled run leaves it
            connection.store.put(keys.of_run(run, "timings.json"), b"{}")
        if job in "cd":
            connection.store.put(keys.failed(run.unit(Stage.TRANSCRIBE)), b"{}")
    catalog.walk()
    found = {
        status: [job for _, job in connection.ended.newest(TENANT, 9, statuses=[status])]
        for status in FINAL
    }
    assert found == {
        Status.COMPLETED: ["a"],
        Status.CANCELED: ["b"],
        Status.FAILED: ["c"],
        Status.PARTIAL: ["d"],
    }


def test_what_the_index_has_wrong_is_put_right_by_the_next_walk(
    connection: Cluster, catalog: Cataloguing
) -> None:
    """A job that is gone, one that ran again elsewhere, one with two ends, and one of a copy."""
    names = [f"{1000 * number:011x}{number:012x}" for number in range(6)]
    for name in names[1:4]:
        ended(connection, name)
    places = [(float(number), name) for number, name in enumerate(names)]
    for place in (places[0], places[2], places[5]):
        connection.ended.add(TENANT, place, Status.FAILED)
    for status in FINAL:
        connection.ended.add(TENANT, places[3], status)
    open_job_of_ours(connection, names[4])
    catalog.walk()
    assert connection.ended.newest(TENANT, 9, statuses=[Status.FAILED]) == [places[5]]
    assert connection.ended.newest(TENANT, 9, statuses=[Status.COMPLETED]) == places[3:0:-1]
    assert len(list(connection.store.list(ENDED))) == 4


def test_the_walk_leaves_in_redis_what_is_open(connection: Cluster, catalog: Cataloguing) -> None:
    """Earlier releases listed all jobs there."""
    ended(connection, "old")
    connection.redis.zadd(f"scriptorium:jobs:{TENANT}", {"old": 1000.0})
    open_job_of_ours(connection, "open")
    assert [job for _, job in listed_jobs(connection, TENANT, 9)] == ["old", "open"]
    catalog.walk()
    assert connection.jobs.newest(TENANT, 9) == [(1000.0, "open")]
    assert [job for _, job in listed_jobs(connection, TENANT, 9)] == ["old", "open"]


def open_job_of_ours(connection: Cluster, job: str) -> None:
    write_records(connection.store, a_manifest(job))
    connection.store.put(keys.open_run(a_run(job=job)), b"")
    connection.jobs.add(a_manifest(job), a_run(job=job))


def test_a_job_that_ran_again_since_it_was_looked_at_is_listed_as_it_ended_last(
    connection: Cluster, catalog: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(keys.source(TENANT, "ab"), b"talk")
    error = encode(result_record(error={"code": "unreadable_audio"}))
    connection.store.put(keys.of_run(a_run(), keys.RESULT), error)
    look = Indexing._status

    def run_again(indexing: Indexing, folder: JobFolder) -> Status | None:
        found = look(indexing, folder)
        if folder.newest == a_run():
            retry(connection, TENANT, JOB)
            result = encode(result_record(transcript={}))
            connection.store.put(keys.of_run(a_run(2), keys.RESULT), result)
            connection.settle(a_run(2))
        return found

    monkeypatch.setattr(Indexing, "_status", run_again)
    catalog.walk()
    found = {status: connection.ended.newest(TENANT, 9, statuses=[status]) for status in FINAL}
    assert {status: [job for _, job in places] for status, places in found.items() if places} == {
        Status.COMPLETED: [JOB]
    }


def test_a_job_that_is_deleted_while_it_is_looked_at_is_not_listed_again(
    connection: Cluster, catalog: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(connection, JOB)
    canceled = encode(result_record(canceled=True))
    connection.store.delete(keys.of_run(a_run(), "timings.json"))
    connection.store.put(keys.of_run(a_run(), keys.RESULT), canceled)
    look = Indexing._status

    def delete(indexing: Indexing, folder: JobFolder) -> Status | None:
        found = look(indexing, folder)
        delete_job(connection, TENANT, JOB)
        return found

    monkeypatch.setattr(Indexing, "_status", delete)
    catalog.walk()
    assert [job for _, job in listed_jobs(connection, TENANT, 9)] == []

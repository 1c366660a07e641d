"""The walk over all jobs of the store: every job is listed, and what has no end is open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status
from orchestrator.cluster.job_folder import JobFolder
from orchestrator.cluster.job_lists import LISTED_APART
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.runs import retry
from orchestrator.reconciler import cataloguing
from orchestrator.reconciler.cataloguing import EVERY_SECONDS, Cataloguing
from orchestrator.reconciler.leading import Leading, LeadLost
from orchestrator.reconciler.restoring import Restoring
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tests.inputs.examples import JOB, TENANT, a_manifest, a_run, write_records
from tests.unit.orchestrator.reconciler.passes import Clock, open_job, restore

RESULT = encode(result_record(canceled=True))


@pytest.fixture
def leading(connection: Cluster) -> Iterator[Leading]:
    found = Leading(connection.redis, 1.0)
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
    return [job for job, _ in connection.jobs.newest(tenant, 99)]


def test_every_job_of_every_tenant_is_listed_without_a_read(
    connection: Cluster, catalog: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tenants too that have no key and no quota, and whose names are like others' beginnings."""
    for number, tenant in enumerate(("a", "a-b", "a.b", "ab", "a0")):
        ended(connection, f"{1_000 * number:011x}{number:012x}", tenant)

    def read(*_: object) -> bytes:
        raise AssertionError("an object was read")

    monkeypatch.setattr(connection.store, "get", read)
    catalog.walk()
    for number, tenant in enumerate(("a", "a-b", "a.b", "ab", "a0")):
        found = connection.jobs.newest(tenant, 9)
        assert found == [(f"{1_000 * number:011x}{number:012x}", float(number))]
    assert not connection.jobs.lacks_ended()


def test_a_listed_job_is_described_once_it_is_asked_for(
    connection: Cluster, catalog: Cataloguing
) -> None:
    ended(connection, JOB)
    catalog.walk()
    assert connection.jobs.find(TENANT, JOB) is None
    assert connection.job(TENANT, JOB).status is Status.CANCELED


def test_a_fault_or_another_leader_goes_on_where_the_walk_has_come_to(
    connection: Cluster, catalog: Cataloguing, leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cataloguing, "PAGE", 2)
    for job in ("a", "b", "c", "d", "e"):
        ended(connection, job)
    enlist, enlisted = connection.jobs.enlist, list[str]()

    def fail(tenant: str, jobs: dict[str, float]) -> None:
        if "c" in jobs and "c" not in enlisted:
            enlisted.append("c")
            raise StoreUnavailable("it is away")
        enlisted.extend(jobs)
        enlist(tenant, jobs)

    monkeypatch.setattr(connection.jobs, "enlist", fail)
    with pytest.raises(StoreUnavailable):
        catalog.walk()
    assert connection.jobs.lacks_ended()
    Cataloguing(connection, leading, Restoring(connection, leading, adopt=True)).walk()
    assert enlisted == ["a", "b", "c", "c", "d", "e"]
    assert listed(connection) == ["e", "d", "c", "b", "a"]
    assert not connection.jobs.lacks_ended()


def test_a_wipe_during_the_walk_begins_it_anew(
    connection: Cluster, catalog: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cataloguing, "PAGE", 1)
    for job in ("a", "b"):
        ended(connection, job)
    enlist = connection.jobs.enlist

    def wipe(tenant: str, jobs: dict[str, float]) -> None:
        enlist(tenant, jobs)
        if "b" in jobs:
            connection.redis.flushall()

    with monkeypatch.context() as patch:
        patch.setattr(connection.jobs, "enlist", wipe)
        with pytest.raises(LeadLost):
            catalog.walk()
    restore(connection)
    assert listed(connection) == ["b", "a"]


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
    index = catalog._index

    def end(folders: object) -> None:
        index(folders)  # type: ignore[arg-type]
        connection.store.put(keys.of_run(a_run(), keys.RESULT), RESULT)

    monkeypatch.setattr(catalog, "_index", end)
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
        status: [job for job, _ in connection.jobs.newest(TENANT, 9, status=status)]
        for status in LISTED_APART
    }
    assert found == {Status.CANCELED: ["b"], Status.FAILED: ["c"], Status.PARTIAL: ["d"]}
    assert connection.jobs.completed(TENANT, list("abcd")) == [True, False, False, False]


@pytest.mark.parametrize("again", ["retried", "retried and completed"])
def test_a_job_that_runs_again_since_it_was_looked_at_is_not_listed_as_failed(
    connection: Cluster, catalog: Cataloguing, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    write_records(connection.store, a_manifest())
    error = encode(result_record(error={"code": "unreadable_audio"}))
    connection.store.put(keys.of_run(a_run(), keys.RESULT), error)
    look = catalog._ended_badly

    def run_again(folder: JobFolder) -> Status | None:
        found = look(folder)
        retry(connection, TENANT, JOB)
        if again == "retried and completed":
            result = encode(result_record(transcript={}))
            connection.store.put(keys.of_run(a_run(2), keys.RESULT), result)
            connection.settle(a_run(2))
        return found

    monkeypatch.setattr(catalog, "_ended_badly", run_again)
    catalog.walk()
    assert listed(connection) == [JOB]
    assert connection.jobs.newest(TENANT, 9, status=Status.FAILED) == []


def test_a_job_that_is_deleted_while_it_is_looked_at_is_not_listed_again(
    connection: Cluster, catalog: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(connection, JOB)
    enlist = connection.jobs.enlist

    def delete(tenant: str, jobs: dict[str, float]) -> None:
        delete_job(connection, TENANT, JOB)
        enlist(tenant, jobs)

    monkeypatch.setattr(connection.jobs, "enlist", delete)
    catalog.walk()
    assert listed(connection) == []

"""The key of a refused submission is free again, and never the key of two jobs."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from gpu_worker.errors import SourceMissing
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.ids import keyed_job
from orchestrator.jobs.submission import submit
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.runs.options import JobOptions
from tasks.runs.units import Run
from tasks.state import claims
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.examples import TENANT
from tests.unit.orchestrator.collections.collected import end_job

SOURCE = Source(name="a.wav", artifact=keys.source(TENANT, "ab"))


def submitted(connection: Cluster) -> Job:
    return submit(connection, SOURCE, JobOptions(), tenant=TENANT, idempotency_key="call-1")


@pytest.mark.parametrize("is_first", [True, False])
def test_a_submission_that_is_repeated_while_its_key_is_freed_becomes_one_job(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    """The repetition has read the job's id; it writes the manifest first, or finds it there."""
    began, is_written, is_free = Event(), Event(), Event()
    delete, put = connection.store.delete, connection.store.put
    repeated: Future[Job]

    def repeat_meanwhile(key: str) -> None:
        nonlocal repeated
        if began.is_set() or not key.endswith("manifest.json"):
            delete(key)
            return
        if is_first:  # the repetition comes between the two deletions
            delete(key)
        began.set()
        put(SOURCE.artifact or "", b"sound")
        repeated = threads.submit(submitted, connection)
        assert is_written.wait(PATIENCE_SECONDS)
        if not is_first:
            delete(key)

    def wait_behind(key: str, data: bytes) -> bool:
        is_new = put(key, data)
        if began.is_set() and not is_written.is_set() and key.endswith("manifest.json"):
            assert is_new == is_first
            is_written.set()
            assert is_free.wait(PATIENCE_SECONDS)
        return is_new

    monkeypatch.setattr(connection.store, "delete", repeat_meanwhile)
    monkeypatch.setattr(connection.store, "put", wait_behind)
    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(SourceMissing):
            submitted(connection)
        is_free.set()
        job = repeated.result()
    assert submitted(connection).id == job.id
    assert exists(connection.store, keys.manifest(TENANT, job.id))
    assert [run.job for run in connection.jobs.open_runs()] == [job.id]
    content = keys.content(SOURCE.artifact or "")
    assert list(connection.store.list(keys.uses(TENANT, content))) == [
        keys.uses(TENANT, content) + job.id
    ]


def test_a_job_that_was_accepted_by_another_process_keeps_its_key(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refused process looked for the file, and the other one was quicker from then on."""
    size, accepted = connection.store.size, list[Job]()

    def accept_first(key: str) -> int | None:
        found = size(key)
        if key == SOURCE.artifact and not accepted:
            monkeypatch.undo()
            connection.store.put(key, b"sound")
            accepted.append(submitted(connection))
        return found

    monkeypatch.setattr(connection.store, "size", accept_first)
    with pytest.raises(SourceMissing):
        submitted(connection)
    assert submitted(connection).id == accepted[0].id
    assert [run.job for run in connection.jobs.open_runs()] == [accepted[0].id]


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_process_that_stands_still_while_it_frees_a_key_takes_no_accepted_job_with_it(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, has_ended: bool
) -> None:
    """The other process has waited in vain for its mark to go."""
    delete, accepted = connection.store.delete, list[Job]()

    def accept_first(key: str) -> None:
        if key.endswith("manifest.json") and not accepted:
            connection.store.put(SOURCE.artifact or "", b"sound")
            accepted.append(submitted(connection))
            if has_ended:
                end_job(connection, Run(TENANT, accepted[0].id, 1))
        delete(key)

    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(connection.store, "delete", accept_first)
    with pytest.raises(SourceMissing):
        submitted(connection)
    job = submitted(connection)
    assert job.id == accepted[0].id
    assert exists(connection.store, keys.manifest(TENANT, job.id))
    assert connection.job(TENANT, job.id).status.final == has_ended
    assert len(connection.jobs.open_runs()) == (not has_ended)


def test_a_submission_that_is_refused_while_its_key_is_freed_leaves_nothing_either(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes between the two deletions, so it is the first to write the manifest again."""
    began, has_tried = Event(), Event()
    delete, put = connection.store.delete, connection.store.put
    other = Source(name="b.wav", artifact=keys.source(TENANT, "cd"))
    refused: Future[Job]

    def submit_other() -> Job:
        return submit(connection, other, JobOptions(), tenant=TENANT, idempotency_key="call-1")

    def refuse_meanwhile(key: str) -> None:
        nonlocal refused
        delete(key)
        if not began.is_set() and key.endswith("manifest.json"):
            began.set()
            refused = threads.submit(submit_other)
            assert has_tried.wait(PATIENCE_SECONDS)

    def try_to_mark(key: str, data: bytes) -> bool:
        is_new = put(key, data)
        if began.is_set() and key.startswith(keys.releasing(TENANT, "")):
            has_tried.set()
        return is_new

    monkeypatch.setattr(connection.store, "delete", refuse_meanwhile)
    monkeypatch.setattr(connection.store, "put", try_to_mark)
    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(SourceMissing):
            submitted(connection)
        with pytest.raises(SourceMissing):
            refused.result()
    assert list(connection.store.list(f"tenants/{TENANT}/")) == []


def test_the_mark_of_a_process_that_died_does_not_keep_the_key_of_a_refused_submission(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.1)
    job = keyed_job(connection.store, TENANT, "call-1")
    mark = encode({"owner": "release:dead", "since": time.time()})
    connection.store.put(keys.releasing(TENANT, job), mark)
    with pytest.raises(SourceMissing):
        submitted(connection)
    right = Source(name="b.wav", artifact=keys.source(TENANT, "cd"))
    connection.store.put(right.artifact or "", b"sound")
    submit(connection, right, JobOptions(), tenant=TENANT, idempotency_key="call-1")

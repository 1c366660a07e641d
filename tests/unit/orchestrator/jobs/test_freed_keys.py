"""The key of a refused submission is free again, and never the key of two jobs."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from gpu_worker.errors import SourceMissing
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.submission import submit
from tasks.artifacts import exists
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.runs.options import JobOptions
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.examples import TENANT

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

"""What is of no use any more is removed."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs import uploads
from orchestrator.jobs.requests import JobRequest
from orchestrator.jobs.submitter import Submitter
from orchestrator.jobs.uploads import announce, take_upload
from orchestrator.reconciler.housekeeping import Housekeeping
from orchestrator.reconciler.leading import Leading
from tasks.runs import keys
from tests.inputs.examples import TENANT


@pytest.fixture
def housekeeping(connection: Cluster) -> Housekeeping:
    leading = Leading(connection.redis, 100.0)
    assert leading.take()
    return Housekeeping(connection, leading)


def an_id(age_seconds: float, number: int = 0) -> str:
    return f"{int((time.time() - age_seconds) * 1000):011x}{number:012x}"


DAY = 24 * 3600.0


def put_upload(connection: Cluster, upload: str, *, marked: bool, claimed: bool = False) -> str:
    connection.store.put(keys.upload(TENANT, upload), b"audio")
    if marked:
        connection.store.put(keys.pending(TENANT, upload), b"")
    if claimed:
        connection.store.put(keys.uses(TENANT, upload) + "job-1", b"")
    return upload


def kept(connection: Cluster, folder: str) -> set[str]:
    return {key.rpartition("/")[2] for key in connection.store.list(folder)}


@contextmanager
def requests(connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The requests that the store gets in the block."""
    made: list[str] = []
    with monkeypatch.context() as patch:
        for name in ("put", "put_stream", "get", "size", "list", "delete"):
            real = getattr(connection.store, name)

            def counted(*given: Any, _name: str = name, _real: Any = real) -> Any:
                made.append(_name)
                return _real(*given)

            patch.setattr(connection.store, name, counted)
        yield made


def test_uploads_that_were_not_submitted_go_after_a_day(
    connection: Cluster, housekeeping: Housekeeping
) -> None:
    old, used, new = an_id(25 * 3600), an_id(25 * 3600, 1), an_id(60)
    for upload in (old, used, new):
        put_upload(connection, upload, marked=True, claimed=upload == used)
    never_sent = an_id(26 * 3600)
    connection.store.put(keys.pending(TENANT, never_sent), b"")
    connection.store.put(f"{keys.PENDING}stray", b"")
    housekeeping.remove_unused_uploads()
    assert kept(connection, keys.upload(TENANT, "")) == {used, new}
    assert kept(connection, keys.PENDING) == {new, "stray"}


def test_an_upload_that_cannot_be_removed_now_holds_up_no_other(
    connection: Cluster, housekeeping: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = put_upload(connection, an_id(DAY + 20), marked=True)
    put_upload(connection, an_id(DAY + 10), marked=True)
    real = connection.store.delete

    def delete(key: str) -> None:
        if key == keys.upload(TENANT, first):
            raise StoreUnavailable
        real(key)

    with monkeypatch.context() as patch:
        patch.setattr(connection.store, "delete", delete)
        housekeeping.remove_unused_uploads()
    assert kept(connection, keys.upload(TENANT, "")) == {first}
    housekeeping.remove_unused_uploads()
    assert kept(connection, keys.PENDING) == kept(connection, keys.upload(TENANT, "")) == set()


def test_a_sweep_reads_no_upload_that_was_submitted(
    connection: Cluster, housekeeping: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 of them took 6.8 s, inside a request of a client."""
    over = {"began": 0, "last": "", "over": True}
    connection.redis.set(f"scriptorium:earlier-uploads:{TENANT}", json.dumps(over))
    counts = []
    for number in (0, 400):
        for one in range(number):
            put_upload(connection, an_id(2 * DAY, one), marked=False, claimed=True)
        with requests(connection, monkeypatch) as made:
            housekeeping.remove_unused_uploads()
        counts.append(len(made))
    assert counts == [2, 3]  # lists each tenant, their end, and the markers
    with requests(connection, monkeypatch) as made:
        announce(connection, TENANT, "talk.wav", 1)
    assert made == ["list", "put"]  # the markers of uploads that wait, and a new one


def test_uploads_of_earlier_releases_are_looked_at_once_a_few_at_a_time(
    connection: Cluster, housekeeping: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "EARLIER_A_SWEEP", 10)
    earlier = [
        put_upload(connection, an_id(9 * DAY, number), marked=False, claimed=number % 5 > 0)
        for number in range(25)
    ]
    for left in (23, 21, 20):
        with requests(connection, monkeypatch) as made:
            housekeeping.remove_unused_uploads()
        assert len(made) < 50
        assert len(kept(connection, keys.upload(TENANT, ""))) == left
    assert kept(connection, keys.upload(TENANT, "")) == {
        upload for number, upload in enumerate(earlier) if number % 5 > 0
    }
    late = put_upload(connection, an_id(DAY + 60), marked=False)  # by a process not yet replaced
    housekeeping.remove_unused_uploads()
    assert late not in kept(connection, keys.upload(TENANT, ""))
    monkeypatch.setattr(uploads, "KEPT_SECONDS", 0.0)  # as if two days had passed
    housekeeping.remove_unused_uploads()
    with requests(connection, monkeypatch) as made:
        housekeeping.remove_unused_uploads()
    assert made == ["list"] * 3


def test_a_submitted_upload_has_no_marker(connection: Cluster) -> None:
    upload = announce(connection, TENANT, "talk.wav", 1)
    assert kept(connection, keys.PENDING) == {upload.id}
    take_upload(connection, TENANT, upload, io.BytesIO(b"x"))
    asked = JobRequest.model_validate({"upload_id": upload.id})
    Submitter(connection, TENANT, None, "api").submit_named(asked)
    assert kept(connection, keys.PENDING) == set()
    assert kept(connection, keys.upload(TENANT, "")) == {upload.id}

"""Uploads that wait for their jobs are bounded in number and in bytes."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from gpu_worker.errors import StoreUnavailable
from orchestrator.access import QuotaExceeded
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.uploads import Upload, announce, submitted
from orchestrator.jobs.waiting_uploads import KEPT_SECONDS
from tasks.runs import keys
from tests.inputs.examples import TENANT


def bounded(connection: Cluster, **limits: Any) -> Cluster:
    return replace(connection, settings=connection.settings.model_copy(update=limits))


def test_a_tenant_has_a_bounded_number_of_uploads_that_wait(connection: Cluster) -> None:
    cluster = bounded(connection, pending_uploads=2)
    first = announce(cluster, TENANT, "a.wav", 1)
    announce(cluster, TENANT, "b.wav", 1)
    with pytest.raises(QuotaExceeded, match="2 uploads wait for their jobs already"):
        announce(cluster, TENANT, "c.wav", 1)
    announce(cluster, "another", "c.wav", 1)
    submitted(cluster, TENANT, first.id)
    announce(cluster, TENANT, "c.wav", 1)


def test_the_announced_bytes_of_a_tenant_are_bounded(connection: Cluster) -> None:
    cluster = bounded(connection, pending_upload_bytes=100)
    announce(cluster, TENANT, "a.wav", 60)
    with pytest.raises(QuotaExceeded, match="have 101 bytes, more than 100"):
        announce(cluster, TENANT, "b.wav", 41)
    announce(cluster, TENANT, "b.wav", 40)


def test_a_tenant_s_own_quota_bounds_its_uploads(connection: Cluster) -> None:
    cluster = bounded(connection, quotas={TENANT: {"pending_uploads": 1}})
    announce(cluster, TENANT, "a.wav", 1)
    with pytest.raises(QuotaExceeded):
        announce(cluster, TENANT, "b.wav", 1)


def test_a_wiped_redis_counts_the_uploads_that_wait_by_their_markers(connection: Cluster) -> None:
    cluster = bounded(connection, pending_uploads=2)
    announce(cluster, TENANT, "a.wav", 1)
    announce(cluster, TENANT, "b.wav", 1)
    cluster.redis.flushall()
    with pytest.raises(QuotaExceeded, match="2 uploads wait for their jobs already"):
        announce(cluster, TENANT, "c.wav", 1)


def test_an_upload_that_has_waited_for_a_day_counts_no_more(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = bounded(connection, pending_uploads=1)
    first = announce(cluster, TENANT, "a.wav", 1)
    cluster.store.delete(keys.pending(TENANT, first.id))  # as the sweep does
    later = time.time() + KEPT_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    announce(cluster, TENANT, "b.wav", 1)


def announced_at_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, before: str
) -> list[Upload]:
    """Announce a file, and another one just before the first announcement does a step of its own.

    Return those that were accepted.
    """
    step, accepted = getattr(cluster.store, before), list[Upload]()

    def announced(name: str) -> None:
        with suppress(QuotaExceeded):
            accepted.append(announce(cluster, TENANT, name, 1))

    def other_first(*args: Any) -> Any:
        monkeypatch.undo()
        announced("other.wav")
        return step(*args)

    monkeypatch.setattr(cluster.store, before, other_first)
    announced("one.wav")
    return accepted


@pytest.mark.parametrize("before", ["put", "presigned_put"])
def test_uploads_that_are_announced_at_once_count_once_each(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    cluster = bounded(connection, pending_uploads=3)
    assert len(announced_at_once(cluster, monkeypatch, before)) == 2
    last = announce(cluster, TENANT, "c.wav", 1)
    with pytest.raises(QuotaExceeded, match="3 uploads wait"):
        announce(cluster, TENANT, "d.wav", 1)
    submitted(cluster, TENANT, last.id)
    announce(cluster, TENANT, "d.wav", 1)


def test_an_upload_is_counted_with_its_bytes_by_a_request_that_finds_its_marker(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That request asked Redis before the upload was counted, and lists the markers now."""
    cluster, address = bounded(connection, pending_uploads=2), connection.store.presigned_put
    others = list[Upload]()

    def other_first(*args: Any) -> str | None:
        monkeypatch.undo()
        with monkeypatch.context() as patch:
            patch.setattr(cluster.redis, "exists", lambda *_: 0)
            others.append(announce(cluster, TENANT, "other.wav", 1))
        return address(*args)

    monkeypatch.setattr(cluster.store, "presigned_put", other_first)
    one = announce(cluster, TENANT, "one.wav", 1)
    for upload in (one, *others):
        submitted(cluster, TENANT, upload.id)
    for _ in range(2):
        announce(cluster, TENANT, "a.wav", 1)


@pytest.mark.parametrize("limit", [{"pending_uploads": 2}, {"pending_upload_bytes": 2}])
def test_announcements_at_once_do_not_pass_the_quota_together(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, limit: dict[str, int]
) -> None:
    cluster = bounded(connection, **limit)
    announce(cluster, TENANT, "a.wav", 1)
    assert len(announced_at_once(cluster, monkeypatch, "put")) == 1


def test_an_announcement_that_fails_keeps_no_place(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = bounded(connection, pending_uploads=1)

    def away(*_: object) -> None:
        raise StoreUnavailable("It is away.")

    with monkeypatch.context() as patch:
        patch.setattr(cluster.store, "put", away)
        with pytest.raises(StoreUnavailable):
            announce(cluster, TENANT, "a.wav", 1)
    announce(cluster, TENANT, "a.wav", 1)


def test_an_upload_whose_day_is_over_does_not_begin_another_one(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = bounded(connection, pending_uploads=1)
    announce(cluster, TENANT, "a.wav", 1)
    later = time.time() + KEPT_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    cluster.redis.flushall()  # its marker stays until the next sweep
    announce(cluster, TENANT, "b.wav", 1)

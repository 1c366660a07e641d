"""A collection is accepted once, canceled, retried and deleted, also if a process dies."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.access import QuotaExceeded
from orchestrator.cluster.connection import Cluster
from orchestrator.collections import acceptance, control, deletion, places
from orchestrator.collections.records import CollectionOutOfBounds, UnknownCollection
from orchestrator.jobs.runs import IllegalTransition
from orchestrator.jobs.submission import IdempotencyConflict
from orchestrator.outbox.webhooks import WebhookNotAllowed
from tasks.artifacts import encode
from tasks.runs.json_artifacts import UnreadableRecord
from tasks.runs.units import Run
from tests.inputs.examples import TENANT
from tests.unit.orchestrator.collections.collected import (
    accepted,
    addresses,
    collecting,
    counts,
    end_jobs,
    lines,
    shown,
)
from tests.unit.orchestrator.reconciler.passes import with_settings


@pytest.fixture
def cluster(connection: Cluster) -> Cluster:
    return with_settings(connection, source_buckets="calls", allowed_models="fake")


def test_the_same_key_gives_the_same_collection(cluster: Cluster) -> None:
    first = accepted(cluster, addresses(3), idempotency_key="march", lines_from="x")
    assert accepted(cluster, addresses(3), idempotency_key="march", lines_from="x") == first
    with pytest.raises(IdempotencyConflict):
        accepted(cluster, addresses(3), idempotency_key="march", lines_from="y")
    assert accepted(cluster, addresses(3)).id != first.id


class Dying:
    """A store whose process dies when it writes the record of a collection."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, data: bytes) -> bool:
        if key.startswith(places.ACCEPTED):
            raise SystemExit
        return bool(self._store.put(key, data))


def dying(cluster: Cluster) -> Cluster:
    return replace(cluster, store=Dying(cluster.store))


def test_a_request_that_died_is_finished_by_its_repetition(cluster: Cluster) -> None:
    with pytest.raises(SystemExit):
        accepted(dying(cluster), addresses(3), idempotency_key="march")
    duty = collecting(cluster)
    duty.go_on()
    assert cluster.jobs.open_runs() == []  # it was not accepted
    collection = accepted(cluster, addresses(3), idempotency_key="march")
    duty.go_on()
    assert counts(cluster, collection) == {"total": 3, "queued": 3}


def test_what_a_request_leaves_that_is_never_repeated_is_removed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "SETTLES_SECONDS", 0.0)
    with pytest.raises(SystemExit):
        accepted(dying(cluster), [{"upload_id": "0" * 23}])
    duty = collecting(cluster, clock=lambda: time.time() + 1000)
    duty.go_on()
    duty.end_deletions()
    left = [key for key in cluster.store.list("") if "/idempotency/" not in key]
    assert left == []


@pytest.mark.parametrize("count", [0, 11])
def test_the_number_of_lines_is_bounded(cluster: Cluster, count: int) -> None:
    small = with_settings(cluster, collection_lines=10)
    with pytest.raises(CollectionOutOfBounds):
        accepted(small, addresses(count))


def test_a_tenant_has_a_bounded_number_of_open_collections(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "OPEN_AT_ONCE", 1)
    accepted(cluster, addresses(1))
    with pytest.raises(QuotaExceeded):
        accepted(cluster, addresses(1))


def test_a_webhook_that_is_not_allowed_is_refused_at_once(cluster: Cluster) -> None:
    with pytest.raises(WebhookNotAllowed):
        accepted(cluster, addresses(1), webhook_url="https://a.example/x")


def test_only_the_lines_that_failed_are_done_again(cluster: Cluster) -> None:
    collection = accepted(cluster, [*addresses(6), "s3://later/7.wav"])
    duty = collecting(cluster)
    duty.go_on()
    with pytest.raises(IllegalTransition):
        control.retry(cluster, TENANT, collection.id)
    end_jobs(cluster, "2.wav", "5.wav")
    duty.go_on()
    assert counts(cluster, collection) == {"total": 7, "completed": 4, "failed": 2, "refused": 1}
    jobs = {line["line"]: line["job"] for line in lines(cluster, collection, "failed")}

    opened = with_settings(cluster, source_buckets="calls,later")  # the operator allows it now
    again = control.retry(opened, TENANT, collection.id)
    assert (again["round"], again["status"]) == (2, "processing")
    assert again["progress"] == round(4 / 7, 4)
    duty = collecting(opened)
    duty.go_on()
    runs = opened.jobs.open_runs()
    assert {(run.job, run.number) for run in runs if run.number == 2} == {
        (job, 2) for job in jobs.values()
    }
    assert len(runs) == 3
    assert counts(opened, collection) == {"total": 7, "completed": 4, "queued": 3}
    duty.go_on()  # to do it twice changes nothing
    assert opened.jobs.open_runs() == runs
    end_jobs(opened, "5.wav")
    duty.go_on()
    assert counts(opened, collection) == {"total": 7, "completed": 6, "failed": 1}
    assert shown(opened, collection)["status"] == "partial"


def test_a_retry_respects_the_quota_and_survives_a_wipe(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(4))
    duty = collecting(cluster)
    duty.go_on()
    end_jobs(cluster, *(f"{number}.wav" for number in range(1, 5)))
    duty.go_on()
    assert shown(cluster, collection)["status"] == "failed"
    control.retry(cluster, TENANT, collection.id)
    small = with_settings(cluster, quotas={TENANT: {"jobs_in_flight": 3}})
    collecting(small).go_on()
    assert counts(small, collection) == {"total": 4, "failed": 2, "queued": 2}
    end_jobs(small)
    small.redis.flushall()
    duty = collecting(small)
    for _ in range(4):
        duty.go_on()
        end_jobs(small)
    assert counts(small, collection) == {"total": 4, "completed": 4}


def test_a_retry_that_died_between_its_writes_can_be_asked_for_again(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(1))
    duty = collecting(cluster)
    duty.go_on()
    end_jobs(cluster, "1.wav")
    duty.go_on()
    control.retry(cluster, TENANT, collection.id)
    turn = Run(TENANT, collection.id, 2)
    cluster.store.delete(places.open_round(turn))
    control.retry(cluster, TENANT, collection.id)
    duty.go_on()
    assert [run.number for run in cluster.jobs.open_runs()] == [2]


def test_nothing_to_retry_is_said(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(1))
    duty = collecting(cluster)
    duty.go_on()
    end_jobs(cluster)
    duty.go_on()
    with pytest.raises(IllegalTransition):
        control.retry(cluster, TENANT, collection.id)


def test_a_canceled_collection_makes_no_more_jobs_and_ends(cluster: Cluster) -> None:
    small = with_settings(cluster, quotas={TENANT: {"jobs_in_flight": 4}})
    collection = accepted(small, addresses(6))
    duty = collecting(small)
    duty.go_on()
    control.cancel(small, TENANT, collection.id)
    duty.go_on()
    assert counts(small, collection) == {"total": 6, "canceled": 6}
    assert shown(small, collection)["status"] == "canceled"
    assert small.jobs.open_runs() == []
    with pytest.raises(IllegalTransition):
        control.cancel(small, TENANT, collection.id)
    control.retry(small, TENANT, collection.id, ["canceled"])
    for _ in range(3):
        duty.go_on()
        end_jobs(small)
    duty.go_on()
    assert counts(small, collection) == {"total": 6, "completed": 6}


def test_a_collection_that_ends_just_before_it_is_canceled_has_not_been_canceled(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = accepted(cluster, addresses(2))
    duty, put = collecting(cluster), cluster.store.put
    duty.go_on()
    end_jobs(cluster)

    def end_first(key: str, data: bytes) -> bool:
        monkeypatch.undo()
        duty.go_on()
        assert shown(cluster, collection)["status"] == "completed"
        return put(key, data)

    monkeypatch.setattr(cluster.store, "put", end_first)
    with pytest.raises(IllegalTransition, match="has ended"):
        control.cancel(cluster, TENANT, collection.id)
    assert shown(cluster, collection)["status"] == "completed"


def test_a_deleted_collection_is_unknown_at_once_and_nothing_of_it_is_left(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = with_settings(cluster, quotas={TENANT: {"jobs_in_flight": 4}})
    collection = accepted(small, [*addresses(6), {"upload_id": "0" * 23}], idempotency_key="k")
    duty = collecting(small)
    duty.go_on()
    deletion.delete(small, TENANT, collection.id)
    with pytest.raises(UnknownCollection):
        control.show(small, TENANT, collection.id)
    assert control.newest(small, TENANT, 10) == ([], None)
    duty.go_on()
    duty.end_deletions()
    assert len(small.jobs.open_runs()) == 3  # a line may still be in the hands of a step
    monkeypatch.setattr(deletion, "SETTLES_SECONDS", 0.0)
    duty.end_deletions()
    assert small.jobs.open_runs() == []
    left = [key for key in small.store.list("") if not key.startswith("deleted/")]
    assert left == []
    assert not list(small.redis.scan_iter("*collection*"))


def test_a_collection_that_cannot_be_read_holds_up_no_other(cluster: Cluster) -> None:
    broken = accepted(cluster, addresses(1))
    key = places.record(TENANT, broken.id)
    cluster.store.delete(key)
    cluster.store.put(key, b"{")
    fine = accepted(cluster, addresses(2))
    collecting(cluster).go_on()
    assert counts(cluster, fine) == {"total": 2, "queued": 2}
    listed, _ = control.newest(cluster, TENANT, 10)
    assert [it["id"] for it in listed] == [fine.id]


def test_the_deletion_of_one_that_cannot_be_read_holds_up_no_other(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "SETTLES_SECONDS", 0.0)
    first, second = (accepted(cluster, addresses(1)) for _ in range(2))  # in this order
    key = places.lines(TENANT, first.id)
    cluster.store.delete(key)
    cluster.store.put(key, b"{")
    for one in (first, second):
        deletion.delete(cluster, TENANT, one.id)
    collecting(cluster).end_deletions()
    assert list(cluster.store.list(places.folder(TENANT, second.id))) == []


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"null", b'{"lines": null}', b'"x"'])
@pytest.mark.parametrize("which", ["lines", "piece", "ended", "wanted"])
def test_what_cannot_be_read_of_a_collection_is_told_and_hides_no_other(
    cluster: Cluster, which: str, broken: bytes
) -> None:
    collection, fine = accepted(cluster, addresses(2)), accepted(cluster, addresses(1))
    duty = collecting(cluster)
    duty.go_on()
    end_jobs(cluster)
    for job in cluster.jobs.open_runs():
        cluster.settle(job)
    duty.go_on()
    first = Run(TENANT, collection.id, 1)
    key = {
        "lines": places.lines(TENANT, collection.id),
        "piece": places.piece(first, 0),
        "ended": places.ended(first),
        "wanted": places.wanted(Run(TENANT, collection.id, 2)),
    }[which]
    cluster.store.delete(key)
    cluster.store.put(key, broken)
    cluster.redis.flushall()
    asked = (
        lambda: control.show(cluster, TENANT, collection.id),
        lambda: control.lines_of(cluster, TENANT, collection.id, (), 10),
        lambda: control.retry(cluster, TENANT, collection.id),
    )
    for ask in asked:
        with suppress(UnreadableRecord, IllegalTransition):  # and nothing else
            ask()
    assert fine.id in {it["id"] for it in control.newest(cluster, TENANT, 10)[0]}
    duty.go_on()


def test_collections_are_listed_by_pages_newest_first(cluster: Cluster) -> None:
    made = [accepted(cluster, addresses(1)).id for _ in range(3)]
    page, behind = control.newest(cluster, TENANT, 2)
    assert [it["id"] for it in page] == sorted(made, reverse=True)[:2]
    rest, end = control.newest(cluster, TENANT, 2, behind)
    assert ([it["id"] for it in rest], end) == (sorted(made)[:1], None)


def test_lines_are_listed_by_pages(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(5))
    collecting(cluster).go_on()
    found: list[Any] = []
    after: int | None = 0
    while after is not None:
        page, after = control.lines_of(cluster, TENANT, collection.id, (), 2, after)
        found += page
    assert [line["line"] for line in found] == [1, 2, 3, 4, 5]


def test_an_ended_collection_of_a_later_release_is_read(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(1))
    key = places.record(TENANT, collection.id)
    data = collection.model_dump(mode="json") | {"colour": "red"}
    cluster.store.delete(key)
    cluster.store.put(key, encode(data))
    assert shown(cluster, collection)["id"] == collection.id

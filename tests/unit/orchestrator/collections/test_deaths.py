"""A process may die at any of its writes: the next one goes on, and no line is lost or twice."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pytest

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.ended_jobs import EndedJobs
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.collections import control, deletion
from orchestrator.collections.acceptance import SETTLED_SECONDS
from orchestrator.collections.records import Collection
from orchestrator.jobs.uploads import announce
from tasks.artifacts import exists
from tasks.runs import keys
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
from tests.unit.orchestrator.reconciler.passes import restore, with_settings


class Mortal:
    """A store whose process dies at the n-th write or deletion, before it or behind it."""

    def __init__(self, store: Any, lives: int, *, behind: bool) -> None:
        self._store = store
        self._lives = lives
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return found if name not in ("put", "delete") else lambda *given: self._do(found, *given)

    def _do(self, write: Any, *given: Any) -> Any:
        self._lives -= 1
        if self._lives < 0:
            raise SystemExit
        if self._lives == 0 and self._behind:
            write(*given)
            raise SystemExit
        if self._lives == 0:
            raise SystemExit
        return write(*given)


@pytest.fixture
def cluster(connection: Cluster) -> Cluster:
    return with_settings(connection, source_buckets="calls", allowed_models="fake")


def mortal(cluster: Cluster, lives: int, *, behind: bool) -> Cluster:
    store: Any = Mortal(cluster.store, lives, behind=behind)
    return replace(cluster, store=store, ended=EndedJobs(store, cluster.records))


def life(cluster: Cluster, *, wiped: bool) -> Collection:
    """A collection that is accepted, done, retried and done again, as far as it is not yet."""
    items = [*addresses(3), "s3://elsewhere/x.wav"]
    collection = accepted(cluster, items, idempotency_key="may", lines_from="x")
    if wiped:
        cluster.redis.flushall()
        restore(cluster)
    if shown(cluster, collection)["round"] == 1:
        for _ in range(3):
            collecting(cluster).go_on()
            end_jobs(cluster, "2.wav")
        control.retry(cluster, TENANT, collection.id)
    for _ in range(3):
        collecting(cluster).go_on()
        end_jobs(cluster)
    return collection


@pytest.mark.slow
@pytest.mark.parametrize("behind", [False, True], ids=["before a write", "behind a write"])
@pytest.mark.parametrize("wiped", [False, True], ids=["with Redis", "with Redis wiped"])
def test_a_process_that_dies_anywhere_loses_no_line_and_makes_none_twice(
    cluster: Cluster, behind: bool, wiped: bool
) -> None:
    for lives in itertools.count(1):
        try:
            life(mortal(cluster, lives, behind=behind), wiped=False)
            died = False
        except SystemExit:
            died = True
        collection = life(cluster, wiped=wiped)
        assert shown(cluster, collection)["ended_at"] is not None, lives
        assert counts(cluster, collection) == {"total": 4, "completed": 3, "refused": 1}, lives
        jobs = {line["job"] for line in lines(cluster, collection, "completed")}
        listed = {job for _, job in listed_jobs(cluster, TENANT, 100)}
        kept = {key.split("/")[3] for key in cluster.store.list(f"tenants/{TENANT}/jobs/")}
        assert len(jobs) == 3 and kept == jobs and listed == jobs, lives
        for key in list(cluster.store.list("")):
            cluster.store.delete(key)
        cluster.redis.flushall()
        if not died:
            break
    assert lives > 20


class Overtaken:
    """A store before whose n-th write or deletion something else happens."""

    def __init__(self, store: Any, write: int, happens: Callable[[], None]) -> None:
        self._store = store
        self._left = write
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return found if name not in ("put", "delete") else lambda *given: self._do(found, *given)

    def _do(self, write: Any, *given: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self._happens()
        return write(*given)


def an_upload(cluster: Cluster) -> str:
    announced = announce(cluster, TENANT, "a.wav", 3)
    cluster.store.put(keys.upload(TENANT, announced.id), b"abc")
    return announced.id


@pytest.mark.slow
@pytest.mark.parametrize("overtakes", ["the reconciler", "the request"])
def test_a_request_that_is_repeated_after_ten_minutes_while_its_rest_is_removed_loses_no_line(
    cluster: Cluster, overtakes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either goes on at each write of the other, after any part of the first try."""
    monkeypatch.setattr(deletion, "SETTLES_SECONDS", 0.0)
    asked = {"idempotency_key": "may", "lines_from": "x"}
    for lives, write in itertools.product(range(1, 8), range(1, 12)):
        upload = an_upload(cluster)
        items = [*addresses(1), {"upload_id": upload}]
        died = True
        with suppress(SystemExit):
            accepted(mortal(cluster, lives, behind=True), items, **asked)
            died = False
        if not died:
            assert lives > 5
            return
        ten_minutes_later = time.time() + SETTLED_SECONDS  # than that try; a new one is young

        def request(items: list[Any] = items) -> None:
            with suppress(StoreUnavailable):
                accepted(cluster, items, **asked)

        def tidy(through: Cluster, now: float = ten_minutes_later) -> None:
            duty = collecting(through, clock=lambda: now)
            duty.go_on()
            duty.end_deletions()

        def overtaken(happens: Callable[[], None], write: int = write) -> Cluster:
            return replace(cluster, store=cast(Any, Overtaken(cluster.store, write, happens)))

        if overtakes == "the reconciler":
            with suppress(StoreUnavailable):
                accepted(overtaken(lambda: tidy(cluster)), items, **asked)
        else:
            tidy(overtaken(request))
        tidy(cluster)
        collection = accepted(cluster, items, **asked)
        collecting(cluster).go_on()
        end_jobs(cluster)
        collecting(cluster).go_on()
        assert counts(cluster, collection) == {"total": 2, "completed": 2}, (lives, write)
        assert exists(cluster.store, keys.upload(TENANT, upload)), (lives, write)
        for key in list(cluster.store.list("")):
            cluster.store.delete(key)
        cluster.redis.flushall()
    pytest.fail("the first try has more writes than are tried here")


def test_what_was_never_accepted_is_removed_but_for_uploads_which_stay_for_their_day(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "SETTLES_SECONDS", 0.0)
    upload = an_upload(cluster)
    with pytest.raises(SystemExit):  # at the record
        accepted(mortal(cluster, 5, behind=False), [{"upload_id": upload}], idempotency_key="may")
    duty = collecting(cluster, clock=lambda: time.time() + SETTLED_SECONDS)
    duty.go_on()
    duty.end_deletions()
    left = [key for key in cluster.store.list("") if "/idempotency/" not in key]
    assert left == [keys.pending(TENANT, upload), keys.upload(TENANT, upload)]


@pytest.mark.parametrize("write", range(1, 4))
def test_a_retry_that_is_repeated_while_the_rest_of_an_earlier_one_is_removed_goes_on(
    cluster: Cluster, write: int
) -> None:
    collection = accepted(cluster, addresses(1))
    collecting(cluster).go_on()
    end_jobs(cluster, "1.wav")
    collecting(cluster).go_on()
    with pytest.raises(SystemExit):  # behind the marker
        control.retry(mortal(cluster, 1, behind=True), TENANT, collection.id)
    duty = collecting(cluster, clock=lambda: time.time() + SETTLED_SECONDS)
    store: Any = Overtaken(cluster.store, write, duty.go_on)
    control.retry(replace(cluster, store=store), TENANT, collection.id)
    collecting(cluster).go_on()
    end_jobs(cluster)
    collecting(cluster).go_on()
    assert counts(cluster, collection) == {"total": 1, "completed": 1}

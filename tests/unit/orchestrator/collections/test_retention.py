"""A collection goes when its jobs have gone by their age, and not while anything is left of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.collections import control, deletion, places, retention
from orchestrator.collections.records import Collection, UnknownCollection
from orchestrator.collections.retention import CollectionRetention
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.holds import end_hold, hold
from orchestrator.jobs.retention import DAY_SECONDS, Gone
from orchestrator.reconciler.leading import Leading
from orchestrator.reconciler.retaining import Retaining
from tasks.runs.units import Run
from tasks.state import claims
from tests.inputs.examples import TENANT
from tests.unit.orchestrator.collections.collected import (
    accepted,
    addresses,
    collecting,
    end_jobs,
    shown,
)
from tests.unit.orchestrator.jobs.test_deletion import Clock
from tests.unit.orchestrator.reconciler.passes import with_settings

RULES = {"*": {"transcripts": 30.0}, "kept": {"audio": 1.0}}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(connection: Cluster) -> Cluster:
    named: dict[str, Any] = {"source_buckets": "calls", "allowed_models": "fake"}
    return with_settings(connection, retention=RULES, **named)


def ended(cluster: Cluster, *failing: str) -> Collection:
    """A collection of two jobs and a refused line, whose first round has ended."""
    collection = accepted(cluster, [*addresses(2), "s3://elsewhere/x.wav"])
    collecting(cluster).go_on()
    end_jobs(cluster, *failing)
    collecting(cluster).go_on()
    assert shown(cluster, collection)["ended_at"] is not None
    return collection


def jobs_of(cluster: Cluster) -> list[str]:
    return [job for _, job in listed_jobs(cluster, TENANT, 99)]


def swept(cluster: Cluster, clock: Clock) -> None:
    """A whole walk of the reconciler, and the deletions that it began."""
    cluster.redis.delete("scriptorium:reconciler")
    leading = Leading(cluster.redis, 100.0)
    assert leading.take()
    Retaining(cluster, leading, clock).sweep()
    leading.release()
    collecting(cluster).end_deletions()


def applied(cluster: Cluster, clock: Clock, collection: Collection, **given: Any) -> Gone | None:
    return CollectionRetention(cluster, clock).apply(TENANT, collection.id, **given)


def left(cluster: Cluster, collection: Collection) -> list[str]:
    return [key for key in cluster.store.list("") if collection.id in key]


@pytest.mark.slow
def test_it_goes_with_its_jobs_in_one_walk_and_leaves_nothing(
    cluster: Cluster, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "SETTLES_SECONDS", 0.0)
    collection = ended(cluster)
    clock.now = time.time() + 29 * DAY_SECONDS
    swept(cluster, clock)
    assert shown(cluster, collection)["counts"]["completed"] == 2
    clock.now = time.time() + 31 * DAY_SECONDS
    swept(cluster, clock)
    assert left(cluster, collection) == [] and jobs_of(cluster) == []
    with pytest.raises(UnknownCollection):
        shown(cluster, collection)


def test_it_stays_while_a_job_of_it_is_there(cluster: Cluster, clock: Clock) -> None:
    collection = ended(cluster)
    clock.now += 31 * DAY_SECONDS
    first, last = jobs_of(cluster)
    assert applied(cluster, clock, collection) is None
    delete_job(cluster, TENANT, first)
    assert applied(cluster, clock, collection) is None
    told = applied(cluster, clock, collection, dry_run=True, going={last})
    assert told is not None and told.kind == "collection"
    assert shown(cluster, collection)["id"] == collection.id  # it was a dry run
    delete_job(cluster, TENANT, last)
    gone = applied(cluster, clock, collection)
    assert gone is not None and gone.artifacts == told.artifacts


def without_jobs(cluster: Cluster, *failing: str) -> Collection:
    collection = ended(cluster, *failing)
    for job in jobs_of(cluster):
        delete_job(cluster, TENANT, job)
    return collection


def test_it_stays_while_it_is_young_held_or_open_or_owes_a_webhook(
    cluster: Cluster, clock: Clock
) -> None:
    collection = without_jobs(cluster)
    first, store = Run(TENANT, collection.id, 1), cluster.store
    assert applied(cluster, clock, collection) is None
    clock.now += 31 * DAY_SECONDS
    for key in (places.open_round(first), places.OWED + first.name):
        store.put(key, b"{}")
        assert applied(cluster, clock, collection) is None
        store.delete(key)
    hold(store, TENANT, None, "case 7", 1.0)
    assert applied(cluster, clock, collection) is None
    end_hold(store, TENANT, None)
    assert applied(cluster, clock, collection) is not None
    assert list(CollectionRetention(cluster, clock).old("kept")) == []


def test_a_retry_makes_it_young_again(cluster: Cluster, clock: Clock) -> None:
    collection = ended(cluster)
    clock.now += 31 * DAY_SECONDS
    control.retry(cluster, TENANT, collection.id)  # of the refused line
    collecting(cluster).go_on()
    for job in jobs_of(cluster):
        delete_job(cluster, TENANT, job)
    assert applied(cluster, clock, collection, dry_run=True) is not None
    clock.now -= 2 * DAY_SECONDS
    assert applied(cluster, clock, collection, dry_run=True) is None


def test_a_retry_at_the_same_moment_waits_or_is_seen(
    cluster: Cluster, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.1)
    collection = without_jobs(cluster)
    clock.now += 31 * DAY_SECONDS
    rules, due = CollectionRetention(cluster, clock), CollectionRetention._due

    def retried(*given: Any) -> Gone | None:
        found = due(*given)
        control.retry(cluster, TENANT, collection.id)
        return found

    with monkeypatch.context() as late:
        late.setattr(CollectionRetention, "_due", retried)
        assert rules.apply(TENANT, collection.id) is None
    collecting(cluster).go_on()
    collecting(cluster).go_on()
    assert shown(cluster, collection)["round"] == 2

    def delete(*given: Any) -> None:
        with pytest.raises(StoreUnavailable):
            control.retry(cluster, TENANT, collection.id)
        deletion.delete(*given)
        with pytest.raises((UnknownCollection, StoreUnavailable)):
            control.retry(cluster, TENANT, collection.id)

    monkeypatch.setattr(retention, "delete", delete)
    assert rules.apply(TENANT, collection.id) is not None
    assert list(cluster.store.list(places.OPEN)) == []

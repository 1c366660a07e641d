"""A process may die at any of its writes: the next one goes on, and no line is lost or twice."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.ended_jobs import EndedJobs
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.collections import control
from orchestrator.collections.records import Collection
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

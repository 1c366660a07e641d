"""A copy of a store in use, taken key by key, restores to a sound cluster that has lost nothing."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Status
from orchestrator.collections import control
from orchestrator.collections.records import UnknownCollection
from orchestrator.soundness.findings import Kind
from orchestrator.soundness.mending import mend
from orchestrator.soundness.walking import Walk
from tasks.artifacts.local import LocalStore
from tasks.runs import keys
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.copying import Copier
from tests.integration.faults.submitting import OPTIONS, Promise, Submitting

QUICK: dict[str, Any] = {"lease_seconds": 2.0, "heartbeat_seconds": 0.5, "audit_seconds": 1.0}
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What was submitted, how each file is heard, and the copies."""

    promises: Submitting
    texts: dict[Path, list[dict[str, Any]]]
    copies: list[Copier]
    kills: int


def loaded(
    start_cluster: StartCluster, folder: Path, seed: int, copies: int, seconds: float, pause: float
) -> Load:
    """Submit and delete while copies are taken, two at a time, and kill a worker for each two.

    `seconds`: what a copy takes; `pause`: between two requests, at most.
    """
    dice, cluster = random.Random(seed), start_cluster(workers=1, name="first", **QUICK)
    paths = [
        write_wav(folder / f"{number}.wav", recording(12, seed=number)[0]) for number in range(4)
    ]
    calm = [cluster.submit(path, **OPTIONS) for path in paths]
    texts = {
        path: cluster.result(cluster.wait(job))["transcript"]["segments"]
        for path, job in zip(paths, calm, strict=True)
    }
    assert all(texts.values())
    load = Submitting(cluster.connection, dice, paths)
    done, kills = list[Copier](), 0
    going_on(load, dice, 2.0, pause)
    for pair in (range(first, min(first + 2, copies)) for first in range(0, copies, 2)):
        # The order of names is what most tools have; any order is what replication has.
        begun = [
            Copier(
                cluster.connection.store,
                folder / f"copy-{number}",
                dice.uniform(0.5, 1.5) * seconds,
                seed=seed * 1000 + number,
                in_order=number % 2 == 1,
            ).start()
            for number in pair
        ]
        if cluster.local.supervisor.children():
            cluster.kill_random_worker(dice)
            kills += 1
        while not all(copier.is_over() for copier in begun):
            going_on(load, dice, 0.2, pause)
        for copier in begun:
            copier.join()
        done += begun
        going_on(load, dice, dice.uniform(0.0, 1.0), pause)
    cluster.__exit__()
    return Load(load, texts, done, kills)


def going_on(load: Submitting, dice: random.Random, seconds: float, pause: float) -> None:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        load.step()
        time.sleep(dice.uniform(0.0, pause))


class Restored:
    """A fresh cluster on a copy, with an empty Redis."""

    def __init__(self, cluster: ClusterUnderTest, load: Load, copy: Copier) -> None:
        self._to: Cluster = cluster.connection
        self._load, self._copy = load, copy

    def _in_copy(self, promises: list[Promise]) -> Iterator[tuple[Promise, bool]]:
        """Yield what the copy may have, and whether it must have it and complete it."""
        began, ended = self._copy.began_at, self._copy.ended_at
        for one in promises:
            if one.accepted_at < ended + 1.0:
                yield one, one.must_complete(began, ended)

    def unfinished(self) -> list[str]:
        """What has not ended so far. Fails at once for what has ended in a wrong way."""
        found = []
        for one, must in self._in_copy(self._load.promises.jobs):
            found += self._look(one, must)
        for one, must in self._in_copy(self._load.promises.collections):
            found += self._look_at_collection(one, must)
        found += [f"open {key}" for key in self._to.store.list(keys.OPEN)]
        found += [f"buried {key}" for key in self._to.store.list(keys.DELETED)]
        if self._to.redis.get("scriptorium:known") != b"1":
            found.append("the walk has not ended")
        return found

    def _look(self, one: Promise, must: bool) -> list[str]:
        name = f"{one.tenant}/{one.id}"
        try:
            job = self._to.job(one.tenant, one.id)
        except UnknownJob:
            assert not must, f"lost: {one}"
            return []
        assert one.deleted_at > self._copy.began_at, f"it came back: {one}"
        if not job.status.final:
            return [name]
        if must:
            assert job.status is Status.COMPLETED, (one, job.error)
        if job.status is Status.COMPLETED:
            result = self._to.result(one.tenant, one.id)
            assert result["transcript"]["segments"] == self._load.texts[one.path], one
        elif job.status is Status.FAILED:
            assert job.error is not None and job.error["code"] == "source_missing", job.error
        else:
            assert job.status is Status.CANCELED and one.canceling_at < self._copy.ended_at, one
        return []

    def _look_at_collection(self, one: Promise, must: bool) -> list[str]:
        try:
            shown = control.show(self._to, one.tenant, one.id)
            lines, _ = control.lines_of(self._to, one.tenant, one.id, (), 99)
        except UnknownCollection:
            assert not must, f"lost: {one}"
            return []
        assert one.deleted_at > self._copy.began_at, f"it came back: {one}"
        if shown["ended_at"] is None:
            return [f"{one.tenant}/{one.id}"]
        if must:
            assert len(lines) == one.lines, (one, lines)
            assert {line["status"] for line in lines} == {"completed"}, (one, lines)
        return []

    def must_have(self) -> int:
        return sum(must for _, must in self._in_copy(self._load.promises.jobs))


def restored(start_cluster: StartCluster, load: Load, copy: Copier) -> str:
    """Restore one copy, check all that was promised, and return the figures."""
    store = LocalStore(copy.to)
    for key in [key for key in store.list("tenants/") if "/releasing/" in key]:
        store.delete(key)  # as if ten minutes had passed: a mark of a dead process counts so long
    found = Counter(finding.kind for finding in Walk(store, clock=later).findings())
    began = time.monotonic()
    cluster = start_cluster(workers=1, name=copy.to.name, store_url=copy.to.as_uri(), **QUICK)
    try:
        look = Restored(cluster, load, copy)
        while left := look.unfinished():
            assert time.monotonic() - began < PATIENCE_SECONDS, left
            time.sleep(0.2)
        sound_after = time.monotonic() - began
        for finding in Walk(store, clock=later).findings():  # `store repair` beside the cluster
            mend(store, finding)
        while left := look.unfinished() or [it.key for it in Walk(store, clock=later).findings()]:
            assert time.monotonic() - began < 2 * PATIENCE_SECONDS, left
            time.sleep(0.2)
        must = look.must_have()
        reopened = found[Kind.RUN_NOT_OPEN] + found[Kind.ROUND_NOT_OPEN]
        order = "in order" if copy.in_order else "in any order"
        return (
            f"{copy.to.name} ({order}, {copy.keys} keys in {copy.ended_at - copy.began_at:.1f} s): "
            f"{must} jobs had to complete, 0 lost, {reopened} opened again, "
            f"unsound {sum(found.values())} {dict(sorted(found.items()))}, "
            f"sound after {sound_after:.1f} s"
        )
    finally:
        cluster.__exit__()


def later() -> float:
    """A time at which no job is so young that it may just be submitted."""
    return time.time() + 3600.0


def figures(load: Load) -> str:
    jobs, collections = load.promises.jobs, load.promises.collections
    deleted = sum(it.deleted_at < float("inf") for it in [*jobs, *collections])
    lines = sum(it.lines for it in collections)
    retried = sum(it.retried_at < float("inf") for it in jobs)
    return (
        f"{len(jobs)} jobs and {len(collections)} collections of {lines} lines accepted, {deleted} "
        f"deleted, {retried} retried, {load.kills} workers killed, {len(load.copies)} copies"
    )


@pytest.mark.fault(
    "a copy of the store, taken in any order while jobs run, and a worker killed meanwhile",
    "restored, each job that was accepted before it began completes with the same text",
)
def test_a_copy_of_a_store_in_use_loses_no_accepted_job(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure
) -> None:
    load = loaded(start_cluster, tmp_path, seed=1, copies=1, seconds=3.0, pause=0.1)
    figure(figures(load))
    figure(restored(start_cluster, load, load.copies[0]))


@pytest.mark.fault(
    "20 copies of the store, taken in order and in any order while jobs run, and workers killed",
    "restored, each job that was accepted before its copy began completes with the same text",
)
@pytest.mark.heavy
@pytest.mark.timeout(3600)
def test_twenty_copies_at_random_moments_lose_no_accepted_job(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure
) -> None:
    load = loaded(start_cluster, tmp_path, seed=2, copies=20, seconds=1.0, pause=1.0)
    figure(figures(load))
    for copy in load.copies:
        figure(restored(start_cluster, load, copy))

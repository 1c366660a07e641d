"""A fresh cluster with an empty Redis on a copy of a store, against what was promised."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Status
from orchestrator.collections import control
from orchestrator.collections.records import UnknownCollection
from orchestrator.soundness.findings import Kind
from orchestrator.soundness.mending import mend
from orchestrator.soundness.walking import Walk
from tasks.artifacts.local import LocalStore
from tasks.runs import keys
from tests.integration.cluster import ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.integration.faults.copying import Copier
from tests.integration.faults.submitting import Promise, Submitting

QUICK: dict[str, Any] = {"lease_seconds": 2.0, "heartbeat_seconds": 0.5, "audit_seconds": 1.0}
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What was submitted, how each file is heard, and the copies."""

    promises: Submitting
    texts: dict[Path, list[dict[str, Any]]]
    copies: list[Copier]
    kills: int


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

    def must_have(self) -> tuple[int, int]:
        """How many jobs and collections were accepted before the copy, and have to complete."""
        promises = self._load.promises
        jobs, collections = (
            sum(must for _, must in self._in_copy(them))
            for them in (promises.jobs, promises.collections)
        )
        return jobs, collections


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the restore of one copy came to; nothing of it was lost."""

    copy: Copier
    jobs: int  # that had to complete
    collections: int
    found: Counter[Kind]  # what was unsound before
    sound_after: float  # seconds

    @property
    def reopened(self) -> int:
        return self.found[Kind.RUN_NOT_OPEN] + self.found[Kind.ROUND_NOT_OPEN]

    def __str__(self) -> str:
        order = "in order" if self.copy.in_order else "in any order"
        took = self.copy.ended_at - self.copy.began_at
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self.found.items()))
        return (
            f"{self.copy.to.name} ({order}, {self.copy.keys} keys in {took:.1f} s): {self.jobs} "
            f"jobs and {self.collections} collections had to complete, 0 lost, {self.reopened} "
            f"opened again, unsound before: {kinds or 'nothing'}; "
            f"sound after {self.sound_after:.1f} s"
        )


def restored(start_cluster: StartCluster, load: Load, copy: Copier) -> Outcome:
    """Restore one copy, and check all that was promised."""
    store = LocalStore(copy.to)
    for key in [key for key in store.list("tenants/") if "/releasing/" in key]:
        store.delete(key)  # as if ten minutes had passed: a mark of a dead process counts so long
    found = Counter(finding.kind for finding in Walk(store, clock=later).findings())
    began = time.monotonic()
    cluster = start_cluster(
        workers=1, name=f"on-{copy.to.name}", store_url=copy.to.as_uri(), **QUICK
    )
    try:
        look = Restored(cluster, load, copy)
        while left := look.unfinished():
            assert time.monotonic() - began < PATIENCE_SECONDS, left
            time.sleep(0.2)
        sound_after = time.monotonic() - began
        while left := look.unfinished() or repaired(store):
            assert time.monotonic() - began < 2 * PATIENCE_SECONDS, left
            time.sleep(0.5)
        return Outcome(copy, *look.must_have(), found, sound_after)
    finally:
        cluster.__exit__()


def repaired(store: LocalStore) -> list[str]:
    """Do what `store repair` does, beside the cluster; return what was unsound.

    A claim that a deletion did not know of is found once that deletion has ended.
    """
    found = list(Walk(store, clock=later).findings())
    for finding in found:
        mend(store, finding)
    return [finding.key for finding in found]


def later() -> float:
    """A time at which no job is so young that it may just be submitted."""
    return time.time() + 3600.0

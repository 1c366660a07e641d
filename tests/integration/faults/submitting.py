"""Tenants that submit, cancel, retry and delete jobs and collections, and keep what was promised.

One thread does it all. The time of each answer is kept, so that it is known of a copy of the store
what was promised before it began.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.connection import Cluster
from orchestrator.collections import deletion as collection_deletion
from orchestrator.collections.acceptance import Asked, accept
from orchestrator.collections.records import Line
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.runs import cancel, retry
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from tasks.runs.submitted_options import job_options

TENANTS = ("acme", "bolt", "carol")
OPTIONS: dict[str, Any] = {
    "model": "fake-20x", "chunk_seconds": 5.0, "aligner": "cross_attention",
}  # fmt: skip
NEVER = float("inf")


@dataclass(slots=True)
class Promise:
    """A job or a collection that was accepted, and when what was done to it."""

    tenant: str
    id: str
    path: Path
    accepted_at: float  # when the answer came
    lines: int = 0  # of a collection
    canceling_at: float = NEVER  # when it was asked for
    canceled_at: float = NEVER  # when it was answered
    retrying_at: float = NEVER
    retried_at: float = NEVER
    deleting_at: float = NEVER
    deleted_at: float = NEVER

    def must_complete(self, began_at: float, ended_at: float) -> bool:
        """Whether it has to complete in a copy that was made from one time to another."""
        if self.accepted_at > began_at or self.deleting_at < ended_at:
            return False
        return self.canceling_at > ended_at or self.retried_at < began_at


class Submitting:
    """The load, and what was promised."""

    def __init__(self, cluster: Cluster, dice: random.Random, paths: list[Path]) -> None:
        self._to, self._dice, self._paths = cluster, dice, paths
        self.jobs: list[Promise] = []
        self.collections: list[Promise] = []
        self.refused = 0

    def step(self) -> None:
        """Do one thing for one tenant."""
        tenant = self._dice.choice(TENANTS)
        does = self._dice.choices(
            (self._submit, self._cancel, self._retry, self._delete, self._collect, self._drop),
            (8, 2, 2, 2, 1, 0.3),
        )[0]
        try:
            does(tenant)
        except ScriptoriumError:  # it has ended meanwhile, or is just being deleted
            self.refused += 1

    def _submit(self, tenant: str) -> None:
        path, is_keyed = self._dice.choice(self._paths), self._dice.random() < 0.5
        language = self._dice.choice(({"language": "en"}, {}))  # or it is detected
        source = upload(self._to, path, tenant)
        key = f"{time.time()}" if is_keyed else None
        options = job_options(OPTIONS | language)
        job = submit(self._to, source, options, tenant=tenant, idempotency_key=key)
        self.jobs.append(Promise(tenant, job.id, path, time.time()))

    def _cancel(self, tenant: str) -> None:
        one = self._any(self.jobs[-3:], tenant)  # the others have ended
        if one is not None and one.canceling_at is NEVER:
            now = time.time()
            cancel(self._to, tenant, one.id)
            one.canceling_at, one.canceled_at = now, time.time()

    def _retry(self, tenant: str) -> None:
        fitting = [it for it in self.jobs if it.canceled_at < NEVER and it.retried_at is NEVER]
        one = self._any(fitting, tenant)
        if one is not None:
            one.retrying_at = time.time()
            retry(self._to, tenant, one.id)
            one.retried_at = time.time()

    def _delete(self, tenant: str) -> None:
        one = self._any(self.jobs, tenant)
        if one is not None:
            one.deleting_at = time.time()
            delete_job(self._to, tenant, one.id)
            one.deleted_at = time.time()

    def _collect(self, tenant: str) -> None:
        path = self._dice.choice(self._paths)
        source = upload(self._to, path, tenant)
        number = self._dice.randint(2, 8)
        lines = [Line(it, artifact=source.artifact, name=path.name) for it in range(1, number + 1)]
        asked = Asked(name="calls", options=OPTIONS, is_operators=True)
        found = accept(self._to, tenant, asked, lines)
        self.collections.append(Promise(tenant, found.id, path, time.time(), lines=number))

    def _drop(self, tenant: str) -> None:
        one = self._any(self.collections, tenant)
        if one is not None:
            one.deleting_at = time.time()
            collection_deletion.delete(self._to, tenant, one.id)
            one.deleted_at = time.time()

    def _any(self, promises: list[Promise], tenant: str) -> Promise | None:
        there = [it for it in promises if it.tenant == tenant and it.deleting_at is NEVER]
        return self._dice.choice(there) if there else None

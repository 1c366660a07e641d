"""Tenants that submit, rerun, retry, cancel, hold and delete jobs while rules of retention run.

One thread does it all and looks at every job in between, so that it knows of each what was
promised. What it kills are the other processes: workers and the reconciler.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Job, Status
from orchestrator.collections import control, places
from orchestrator.collections.acceptance import Asked, accept
from orchestrator.collections.records import Line, UnknownCollection
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.holds import hold
from orchestrator.jobs.retention import TRANSCRIPTS, ages
from orchestrator.jobs.runs import cancel, retry
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import rerun, submit
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.json_artifacts import json_object, read_record
from tasks.runs.stages import Stage
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tests.integration.cluster import ClusterUnderTest

OPTIONS: dict[str, Any] = {
    "model": "fake-20x", "chunk_seconds": 5.0, "language": "en", "aligner": "cross_attention",
}  # fmt: skip
KEEPER = "keeper"  # the reconciler, among what is killed
HELD = 2  # jobs of a tenant, at most
MARK_SECONDS = 3.0  # in place of the ten minutes for which a dead process's mark counts


@dataclass(slots=True)
class Promise:
    """A job that was accepted, and what is known of it."""

    tenant: str
    job: str
    path: Path
    since: float  # its newest run was asked for not before this time
    is_canceled: bool = False  # its newest run may be
    is_deleted: bool = False
    is_held: bool = False
    was_whole: bool = False  # its newest run was seen to have ended, with its exact transcript
    is_gone: bool = False


@dataclass(slots=True)
class Tally:
    """How much of each a test has seen."""

    refused: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)

    def add(self, counts: dict[str, int], name: str) -> None:
        counts[name] = counts.get(name, 0) + 1


class Tenants:
    """The load, and what it has seen."""

    def __init__(
        self,
        cluster: ClusterUnderTest,
        dice: random.Random,
        files: dict[Path, list[dict[str, Any]]],
        names: Sequence[str],
        *,
        collects: bool,
    ) -> None:
        self._to: Cluster = cluster.connection
        self._cluster, self._dice = cluster, dice
        self._files, self._names = files, names
        self.promises: list[Promise] = []
        self.collections: list[Promise] = []  # `job` is the collection's id
        self._collects = collects
        self.tally = Tally()
        self._marks: list[tuple[float, str, str]] = []  # time, key and owner

    def step(self) -> None:
        """Do one thing for one tenant, and then look at every job."""
        tenant = self._dice.choice(self._names)
        does = self._dice.choices(
            [
                *(self._submit, self._hold, self._rerun, self._cancel, self._retry, self._delete),
                self._collect,
            ],
            [5, 1, 3, 2, 4, 1, int(self._collects)],
        )[0]
        try:
            does(tenant)
        except (ScriptoriumError, RedisError) as error:
            self.tally.add(self.tally.refused, getattr(error, "code", type(error).__name__))
        self.look()

    def _submit(self, tenant: str) -> Promise:
        path, since = self._dice.choice(list(self._files)), time.time()
        source = upload(self._to, path, tenant)
        # As a client does that heard nothing: the same key again.
        key = f"{since}" if self._dice.random() < 0.5 else None
        for last in (False, False, True):
            try:
                options = job_options(OPTIONS)
                job = submit(self._to, source, options, tenant=tenant, idempotency_key=key)
                break
            except (ScriptoriumError, RedisError):
                if last or key is None:
                    raise
        return self._promise(tenant, job, path, since)

    def _promise(self, tenant: str, job: Job, path: Path, since: float) -> Promise:
        self.promises.append(Promise(tenant, job.id, path, since))
        return self.promises[-1]

    def _hold(self, tenant: str) -> None:
        held = [it for it in self.promises if it.is_held and it.tenant == tenant]
        if len(held) < HELD:
            one = self._submit(tenant)
            hold(self._to.store, tenant, one.job, "case 7", time.time())
            one.is_held = True

    def _collect(self, tenant: str) -> None:
        """Submit a collection, as the command line does: its files are in the store."""
        path, since = self._dice.choice(list(self._files)), time.time()
        source = upload(self._to, path, tenant)
        lines = [Line(it, artifact=source.artifact, name=path.name) for it in (1, 2)]
        asked = Asked(name="calls", options=OPTIONS, is_operators=True)
        found = accept(self._to, tenant, asked, lines)
        self.collections.append(Promise(tenant, found.id, path, since))

    def _look_at_collection(self, one: Promise) -> None:
        """Expect of each job of its lines what is expected of the others."""
        try:
            lines, _ = control.lines_of(self._to, one.tenant, one.job, (), 9)
        except UnknownCollection:
            rule = ages(self._to.settings, one.tenant)[TRANSCRIPTS]
            assert time.time() - one.since >= rule, one
            one.is_gone = True
            return
        known = {it.job for it in self.promises}
        for line in lines:
            assert line["job"] is not None, line
            if line["job"] not in known and line["status"] != "deleted":
                self.promises.append(Promise(one.tenant, line["job"], one.path, one.since))
        one.was_whole = len(lines) == 2

    def _rerun(self, tenant: str) -> None:
        one, since = self._any(tenant, lambda it: it.was_whole), time.time()
        if one is not None:
            changes = {"initial_prompt": self._dice.choice(["a", "b", "c"])}
            self._promise(tenant, rerun(self._to, tenant, one.job, changes), one.path, since)

    def _cancel(self, tenant: str) -> None:
        one = self._submit(tenant)
        if self._dice.random() < 0.5:  # else it has hardly begun
            time.sleep(self._dice.uniform(0.0, 1.0))
        one.is_canceled = True
        cancel(self._to, tenant, one.job)

    def _retry(self, tenant: str) -> None:
        one = self._any(tenant, lambda it: it.is_canceled and not it.was_whole)
        if one is not None:
            began = time.time()
            retry(self._to, tenant, one.job)
            one.since, one.is_canceled = began, False

    def _delete(self, tenant: str) -> None:
        one = self._any(tenant, lambda it: not it.is_held)
        if one is not None:
            one.is_deleted = True
            delete_job(self._to, tenant, one.job)

    def _any(self, tenant: str, fits: Callable[[Promise], bool]) -> Promise | None:
        """Return one that is there: at half of the times the oldest, whose turn to go is near."""
        there = [it for it in self.living() if it.tenant == tenant and fits(it)]
        if not there:
            return None
        return there[0] if self._dice.random() < 0.5 else self._dice.choice(there)

    def living(self) -> list[Promise]:
        return [it for it in self.promises if not it.is_gone and not it.is_deleted]

    def look(self) -> None:
        """Check all that is promised, as far as it can be told now."""
        for one in self.collections:
            if not one.is_gone:
                self._look_at_collection(one)
        for one in self.living():
            if not one.was_whole:
                self._look_at(one)
        for one in self._dice.sample(whole := self._whole(), min(4, len(whole))):
            self._look_at(one)
        self._end_marks()

    def _whole(self) -> list[Promise]:
        return [it for it in self.living() if it.was_whole]

    def _look_at(self, one: Promise) -> None:
        try:
            job = self._to.job(one.tenant, one.job)
            if not job.status.final:
                return
            if job.status is Status.CANCELED:
                assert one.is_canceled, one
                return
            assert job.status is Status.COMPLETED, (one, job.error)
            result = self._to.result(one.tenant, one.job)
        except UnknownJob:
            rule = ages(self._to.settings, one.tenant).get(TRANSCRIPTS)
            assert rule is not None and not one.is_held, one
            assert time.time() - one.since >= rule, (one, time.time() - one.since)
            one.is_gone = True
            return
        assert result["transcript"]["segments"] == self._files[one.path], one
        one.was_whole, one.is_canceled = True, False

    def killed(self, name: str) -> None:
        """Take note of a kill: what a dead reconciler was deleting has a mark that must age."""
        self.tally.add(self.tally.kills, name.partition("@")[0].partition("-")[0])
        if name != KEEPER:  # else the marks are of one that lives
            return
        for tenant in self._names:
            for key in self._to.store.list(keys.releasing(tenant, "")):
                self._marks.append((time.monotonic(), key, self._owner(key)))

    def _end_marks(self) -> None:
        """Let the ten minutes pass after which the mark of a dead process counts no more."""
        due = [it for it in self._marks if time.monotonic() - it[0] > MARK_SECONDS]
        self._marks = [it for it in self._marks if it not in due]
        for _, key, owner in due:
            if owner and self._owner(key) == owner:
                self._to.store.delete(key)

    def _owner(self, key: str) -> str:
        with suppress(ArtifactMissing):
            return str(read_record(self._to.store, key, json_object)["owner"])
        return ""

    def settled(self) -> bool:
        """Look at all; return whether each job has ended, or is gone by a rule."""
        self.look()
        are_whole = all(it.was_whole or it.is_gone for it in self.collections)
        return are_whole and all(it.was_whole or it.is_canceled for it in self.living())

    def due(self) -> Iterator[str]:
        """Yield what should have gone by now: every rule's age is over for every job."""
        for tenant in self._names:
            held = [it for it in self.promises if it.is_held and it.tenant == tenant]
            needed = {name for it in held for name in (it.job, *self.contents(it))}
            everything = TRANSCRIPTS in ages(self._to.settings, tenant)
            for key in self._to.store.list(f"tenants/{tenant}/"):
                if needed.intersection(key.replace("-", "/").split("/")):
                    continue
                if "/idempotency/" in key and self._to.store.get(key).decode() in needed:
                    continue
                if everything or key.endswith("/pcm") or "/prepared/" in key:
                    yield key
            if everything:
                yield from self._to.store.list(f"{places.ACCEPTED}{tenant}/")
        ways = (places.OPEN, places.OWED, places.DELETED)
        for folder in (keys.OPEN, keys.OUTBOX, keys.DELETED, *ways):
            yield from self._to.store.list(folder)

    def contents(self, one: Promise) -> tuple[str, ...]:
        source = self._to.records.manifest(one.tenant, one.job).source.artifact
        return (keys.content(source or ""), self._to.records.plan(one.tenant, one.job).audio)

    def assert_held_are_whole(self) -> None:
        for one in (it for it in self.promises if it.is_held):
            store, records = self._to.store, self._to.records
            source, audio = self.contents(one)
            assert exists(store, keys.source(one.tenant, source)), one
            assert exists(store, keys.pcm(one.tenant, audio)), one
            run = Run(one.tenant, one.job, 1)
            for index in range(len(records.plan(one.tenant, one.job).chunks)):
                assert exists(store, records.key(run.unit(Stage.TRANSCRIBE, index))), one
            self._look_at(one)
            assert one.was_whole, one

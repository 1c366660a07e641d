"""The life of a job against a small reference, in any order of events, with deaths and wipes.

A rule is what a client or the world does. Each may be cut off by the death of its process at any
call to the store or Redis (`tests/crashes.py`). The reference knows, for each job that a client
was told of, in which states it may be. After each step the reconciler may come by; at the end it
does, and nothing may be lost or left.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings, stateful
from hypothesis import strategies as st
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import TransientError
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.connection import UnknownJob, open_cluster
from orchestrator.cluster.job import Status
from orchestrator.cluster.job_folder import job_folders
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.runs import IllegalTransition, cancel, retry
from orchestrator.jobs.sources import take_file
from orchestrator.jobs.submission import rerun, submit
from orchestrator.jobs.tombstones import Tombstones
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tests.crashes import Crashes
from tests.inputs.examples import TENANT, a_run
from tests.unit.orchestrator.jobs.test_crashes import FAILED, OPTIONS, World, let_time_pass
from tests.unit.orchestrator.reconciler.passes import Clock

pytestmark = pytest.mark.slow
FILES = (b"one", b"two")  # contents that jobs share
KEYS = (None, None, "first", "second")
RESULTS: tuple[dict[str, Any], ...] = (
    {"transcript": {"language": "en"}},
    {"transcript": {"language": "en"}, "missing": [{"start": 0.0}]},
    {"error": FAILED},
)
STATUS_OF = (Status.COMPLETED, Status.PARTIAL, Status.FAILED)
OPEN = frozenset({Status.QUEUED, Status.PROCESSING})
no_death = st.just(0)
deaths = st.one_of(no_death, st.integers(1, 45))


class Life(stateful.RuleBasedStateMachine):
    """Jobs, and what a client knows of each."""

    redis_url = ""  # set by the test
    world: World

    @stateful.initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        let_time_pass(self.patch)
        values = Settings(
            redis_url=SecretStr(self.redis_url),
            store_url=f"memory://{uuid4().hex}",
            reconcile_grace_seconds=5.0,
            jobs_in_flight=50,
        )
        cluster = open_cluster(values)
        cluster.redis.flushall()
        cluster.jobs.restored()
        clock = Clock()
        clock.now = time.time()
        self.world = World(cluster, Crashes(self.patch), clock, Tombstones(cluster, clock))
        self.states: dict[str, frozenset[Status]] = {}  # in which an accepted job may be
        self.deleted: set[str] = set()  # told to the client
        self.maybe_deleted: set[str] = set()
        self.keyed: dict[str, str] = {}

    def attempt(self, act: Callable[[], Any], death: int, behind: bool) -> tuple[bool, Any]:
        """Do it, or die in it; give whether it ended, and its value.

        A transient refusal is no end: a release that died may still hold a file.
        """
        value: list[Any] = []
        with suppress(TransientError), self.world.crashes.at(death, behind=behind):
            value.append(act())
        return bool(value), (value or [None])[0]

    def some_job(self, index: int) -> str | None:
        known = sorted(set(self.states) - self.deleted - self.maybe_deleted)
        return known[index % len(known)] if known else None

    @stateful.rule(
        content=st.sampled_from(FILES),
        key=st.sampled_from(KEYS),
        death=deaths,
        behind=st.booleans(),
    )
    def submit(self, content: bytes, key: str | None, death: int, behind: bool) -> None:
        cluster = self.world.cluster
        if key is not None:
            content = key.encode()  # one key is one submission

        def act() -> str:
            source = take_file(cluster, io.BytesIO(content), "a.wav", TENANT)
            quota = quota_of(cluster.settings, TENANT)
            return submit(
                cluster, source, OPTIONS, tenant=TENANT, idempotency_key=key, quota=quota
            ).id

        ended, job = self.attempt(act, death, behind)
        if not ended:
            return
        before = self.keyed.get(key or "")
        if key is not None and before not in self.deleted | self.maybe_deleted:
            assert before in (None, job), "one key, two jobs"
        if key is not None:
            self.keyed[key] = job
        self.states.setdefault(job, OPEN)

    @stateful.rule(index=st.integers(0, 9), death=deaths, behind=st.booleans())
    def cancel(self, index: int, death: int, behind: bool) -> None:
        job = self.some_job(index)
        if job is None:
            return
        try:
            ended, _ = self.attempt(lambda: cancel(self.world.cluster, TENANT, job), death, behind)
        except IllegalTransition:
            assert self.states[job] - OPEN, "an open job was not canceled"
            return
        if ended:
            final = self.states[job] - OPEN
            self.states[job] = final or frozenset({Status.CANCELED})
            self.states[job] |= {Status.CANCELED}
        else:
            self.states[job] |= {Status.CANCELED}

    @stateful.rule(index=st.integers(0, 9), death=deaths, behind=st.booleans())
    def retry(self, index: int, death: int, behind: bool) -> None:
        job = self.some_job(index)
        if job is None:
            return
        try:
            ended, _ = self.attempt(lambda: retry(self.world.cluster, TENANT, job), death, behind)
        except IllegalTransition:
            assert self.states[job] & (OPEN | {Status.COMPLETED})
            return
        self.states[job] = OPEN if ended else self.states[job] | OPEN

    @stateful.rule(index=st.integers(0, 9), death=deaths, behind=st.booleans())
    def rerun(self, index: int, death: int, behind: bool) -> None:
        job = self.some_job(index)
        if job is None:
            return
        quota = quota_of(self.world.cluster.settings, TENANT)
        try:
            ended, again = self.attempt(
                lambda: rerun(self.world.cluster, TENANT, job, {"beam_size": 5}, quota=quota),
                death,
                behind,
            )
        except IllegalTransition:
            assert self.states[job] & OPEN
            return
        if ended:
            self.states[again.id] = OPEN

    @stateful.rule(index=st.integers(0, 9), death=deaths, behind=st.booleans())
    def delete(self, index: int, death: int, behind: bool) -> None:
        job = self.some_job(index)
        if job is None:
            return
        ended, _ = self.attempt(lambda: delete_job(self.world.cluster, TENANT, job), death, behind)
        (self.deleted if ended else self.maybe_deleted).add(job)

    @stateful.rule(index=st.integers(0, 9), how=st.integers(0, 2))
    def work(self, index: int, how: int) -> None:
        """Workers do the newest run of an open job to its end."""
        job = self.some_job(index)
        if job is None:
            return
        now = self.world.cluster.job(TENANT, job)
        run = a_run(now.run, job=job)
        store = self.world.cluster.store
        if exists(store, keys.of_run(run, keys.RESULT)):
            return
        with suppress(ArtifactMissing):
            self.world.end(now, **RESULTS[how])
            self.states[job] = frozenset({STATUS_OF[how]})

    @stateful.rule()
    def wipe(self) -> None:
        self.world.cluster.redis.flushall()

    @stateful.rule()
    def reconcile(self) -> None:
        self.world.recover()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.recover()
            self.world.recover()
            self.world.assert_consistent()
            cluster = self.world.cluster
            left = {it.job for it in job_folders(cluster.store, TENANT)}
            assert not left & self.deleted, "a deleted job came back"
            for job, states in self.states.items():
                if job in self.deleted:
                    with pytest.raises(UnknownJob):
                        cluster.job(TENANT, job)
                elif job not in self.maybe_deleted:
                    status = cluster.job(TENANT, job).status
                    assert status in states or (status in OPEN and states & OPEN), job
        finally:
            self.world.cluster.close()
            self.patch.undo()


@pytest.mark.fault(
    "any order of submit, cancel, retry, rerun, delete, work, wipe, with a death at any call",
    "each job that a client was told of is in a state that a small reference allows; nothing left",
)
def test_no_order_of_events_and_deaths_loses_a_job(redis_url: str) -> None:
    Life.redis_url = redis_url
    stateful.run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=30,
            stateful_step_count=12,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )

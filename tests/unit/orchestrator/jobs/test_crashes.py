"""A process that dies at any call to the store or Redis leaves a job that goes on, or no job."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from gpu_worker.errors import ScriptoriumError
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.connection import Cluster, UnknownJob, open_cluster
from orchestrator.cluster.ended_jobs import FINAL
from orchestrator.cluster.job import Job, Status
from orchestrator.cluster.job_folder import job_folders
from orchestrator.cluster.job_index import newest_run, open_runs
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.runs import IllegalTransition, cancel, retry
from orchestrator.jobs.sources import take_file
from orchestrator.jobs.submission import rerun, submit
from orchestrator.jobs.tombstones import Tombstones
from orchestrator.reconciler import Reconciler, restoring
from tasks.artifacts import encode, exists
from tasks.fair_queue import clear
from tasks.runs import keys
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tasks.runs.stages import queues
from tasks.state import claims
from tests.crashes import Crashes
from tests.inputs.examples import TENANT, a_plan, a_run
from tests.queued_units import queued_units
from tests.unit.orchestrator.reconciler.passes import Clock, restore

pytestmark = pytest.mark.slow
OPTIONS = JobOptions(model="fake", language="en")
GRACE = 5.0
FAILED = {"type": "permanent", "code": "x", "message": "m", "hint": "h"}


@dataclass
class World:
    """A cluster, the clock of its reconciler, and the deaths of its processes."""

    cluster: Cluster
    crashes: Crashes
    clock: Clock
    tombstones: Tombstones

    def recover(self) -> None:
        """What happens meanwhile: messages are taken; the reconciler audits, passes and sweeps."""
        self.clock.now += 10_000.0
        redis = self.cluster.redis
        clear(redis, queues())  # a worker takes them, and dies
        for lease in redis.scan_iter("scriptorium:lease:*"):  # of the dead: they expire
            redis.delete(lease)
        redis.delete("scriptorium:catalog:3")  # a day has passed since the last walk
        restore(self.cluster)
        reconciler = Reconciler(self.cluster, clock=self.clock)
        for _ in range(9):
            reconciler.reconcile()
            self.clock.now += GRACE
        for _ in range(4):
            self.tombstones.sweep()
            self.clock.now += 10_000.0
        reconciler._leading.release()

    def assert_consistent(self) -> None:
        """Nothing is lost, nothing is left behind."""
        cluster, store = self.cluster, self.cluster.store
        opened = set(open_runs(store))
        assert set(cluster.jobs.open_runs()) == opened
        assert {unit.run for unit in queued_units(cluster.redis)} >= opened
        jobs = {it.job for it in job_folders(store, TENANT) if it.is_accepted}
        for job in jobs:
            run = newest_run(store, TENANT, job)
            is_ended = exists(store, keys.of_run(run, keys.RESULT))
            assert is_ended is (run not in opened), run.name
            assert cluster.job(TENANT, job).status.final is is_ended
        assert {run.job for run in opened} <= jobs
        assert sorted(job for _, job in listed_jobs(cluster, TENANT, 2)) == sorted(jobs)
        for status in FINAL:
            ended = {job for _, job in cluster.ended.newest(TENANT, 99, statuses=[status])}
            assert ended - {run.job for run in opened} == {
                job for job in jobs if cluster.job(TENANT, job).status is status
            }
        assert list(store.list(keys.DELETED)) == []
        claimed = {key.rpartition("/")[2] for key in store.list(f"tenants/{TENANT}/uses/")}
        assert claimed <= jobs
        assert cluster.leases.names() == []

    def job(self, key: str | None = None) -> Job:
        """Accept a job with an uploaded file."""
        cluster = self.cluster
        source = take_file(cluster, io.BytesIO(b"RIFF" + bytes(100)), "a.wav", TENANT)
        quota = quota_of(cluster.settings, TENANT)
        return submit(cluster, source, OPTIONS, tenant=TENANT, idempotency_key=key, quota=quota)

    def end(self, job: Job, **result: object) -> Job:
        """Prepare a job and publish its result, as the workers would."""
        store, run = self.cluster.store, a_run(job.run, job=job.id)
        plan = a_plan(10)
        store.put(keys.plan(TENANT, job.id), encode(plan.model_dump(mode="json")))
        store.put(keys.pcm(TENANT, plan.audio), b"pcm")
        for content in (plan.audio,):
            store.put(keys.job(TENANT, job.id, "uses/") + content, b"")
            store.put(keys.uses(TENANT, content) + job.id, b"")
        store.put(keys.of_run(run, keys.RESULT), encode(result_record(**result)))  # type: ignore[arg-type]
        self.cluster.settle(run)
        return self.cluster.job(TENANT, job.id)


def let_time_pass(patch: pytest.MonkeyPatch) -> None:
    """What died is old: the mark of a release, and a submission that was not accepted."""
    patch.setattr(claims, "STALE_SECONDS", 0.0)
    patch.setattr(claims, "PATIENCE_SECONDS", 0.0)
    patch.setattr(restoring, "SETTLED_SECONDS", 0.0)
    patch.setattr(restoring, "SUBMITTING_SECONDS", 0.0)


@pytest.fixture
def world(
    redis: Redis, redis_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    values = settings.model_copy(
        update={
            "redis_url": SecretStr(redis_url),
            "store_url": f"memory://{uuid4().hex}",
            "reconcile_grace_seconds": GRACE,
            "jobs_in_flight": 3,
        }
    )
    cluster = open_cluster(values)
    cluster.jobs.restored()
    let_time_pass(monkeypatch)
    clock = Clock()
    clock.now = time.time()  # tombstones have the time of day
    yield World(cluster, Crashes(monkeypatch), clock, Tombstones(cluster, clock))
    cluster.close()


def renew(world: World) -> None:
    """Begin with an empty store and an empty Redis."""
    world.cluster.redis.flushall()
    for key in list(world.cluster.store.list("")):
        world.cluster.store.delete(key)
    world.cluster.records._known.clear()
    world.cluster.jobs.restored()
    world.tombstones._quiet.clear()


def sweep(world: World, prepare: Callable[[], object], act: Callable[[], object]) -> Iterator[str]:
    """Yield once for each call that `act` makes, and for each side of it, after a death there.

    The reconciler has been through it by then.
    """
    renew(world)
    prepare()
    with world.crashes.at(0):
        act()
    number, calls = 0, len(world.crashes.calls)
    assert calls > 3
    for number in range(1, calls + 1):
        for behind in (False, True):
            renew(world)
            prepare()
            with world.crashes.at(number, behind=behind):
                act()
            place = f"{'behind' if behind else 'before'} call {number}: {world.crashes.calls[-1]}"
            world.recover()
            try:
                world.assert_consistent()
            except AssertionError as error:
                raise AssertionError(f"died {place}: {error}") from error
            yield place


@pytest.mark.fault(
    "the process that submits dies at any call to the store or Redis",
    "the same request makes the job once; nothing is left",
)
@pytest.mark.parametrize("key", [None, "key"], ids=["without a key", "with a key"])
def test_a_submission(world: World, key: str | None) -> None:
    for place in sweep(world, lambda: None, lambda: world.job(key)):
        job = world.job(key)
        assert world.cluster.job(TENANT, job.id).status is Status.QUEUED, place
        assert len(list(job_folders(world.cluster.store, TENANT))) <= (2 if key is None else 1)
        world.recover()
        world.assert_consistent()


@pytest.mark.fault(
    "the process that cancels dies at any call",
    "the job is canceled or goes on, and can be canceled and retried",
)
def test_a_cancellation(world: World) -> None:
    jobs: list[Job] = []
    for place in sweep(
        world,
        lambda: jobs.append(world.job()),
        lambda: cancel(world.cluster, TENANT, jobs[-1].id),
    ):
        with suppress(IllegalTransition):  # it is canceled already
            cancel(world.cluster, TENANT, jobs[-1].id)
        assert world.cluster.job(TENANT, jobs[-1].id).status is Status.CANCELED, place
        assert retry(world.cluster, TENANT, jobs[-1].id).status is Status.QUEUED


@pytest.mark.fault(
    "the process that retries dies at any call, and Redis is wiped",
    "the new run is never forgotten",
)
def test_a_retry(world: World) -> None:
    jobs: list[Job] = []
    for place in sweep(
        world,
        lambda: jobs.append(world.end(world.job(), error=FAILED)),
        lambda: retry(world.cluster, TENANT, jobs[-1].id),
    ):
        now = world.cluster.job(TENANT, jobs[-1].id)
        if now.run == 1:
            now = retry(world.cluster, TENANT, jobs[-1].id)
        assert (now.run, now.status.final) == (2, False), place
        world.end(now, transcript={"language": "en"})
        world.cluster.redis.flushall()
        world.recover()
        after = world.cluster.job(TENANT, jobs[-1].id)
        assert (after.run, after.status) == (2, Status.COMPLETED), place


@pytest.mark.fault(
    "the process that reruns dies at any call",
    "both jobs keep what they need",
)
def test_a_rerun(world: World) -> None:
    jobs: list[Job] = []
    for place in sweep(
        world,
        lambda: jobs.append(world.end(world.job(), transcript={"language": "en"})),
        lambda: rerun(
            world.cluster,
            TENANT,
            jobs[-1].id,
            {"beam_size": 5},
            quota=quota_of(world.cluster.settings, TENANT),
        ),
    ):
        assert world.cluster.job(TENANT, jobs[-1].id).status is Status.COMPLETED, place
        source = world.cluster.records.manifest(TENANT, jobs[-1].id).source.artifact
        assert source and exists(world.cluster.store, source)


@pytest.mark.fault(
    "the process that deletes dies at any call",
    "the store lists nothing of the job",
)
@pytest.mark.parametrize("ended", [False, True], ids=["while it runs", "when it has ended"])
def test_a_deletion(world: World, ended: bool) -> None:
    jobs: list[Job] = []

    def prepare() -> None:
        jobs.append(world.job())
        if ended:
            world.end(jobs[-1], transcript={"language": "en"})

    for place in sweep(world, prepare, lambda: delete_job(world.cluster, TENANT, jobs[-1].id)):
        with suppress(UnknownJob):  # the sweep has ended it
            delete_job(world.cluster, TENANT, jobs[-1].id)
        world.recover()
        left = [key for key in world.cluster.store.list("") if jobs[-1].id in key]
        assert left == [], place
        assert list(world.cluster.store.list("tenants/")) == [], place


@pytest.mark.fault(
    "the process that ends a run dies at any call",
    "the job is final",
)
def test_the_end_of_a_run_is_indexed(world: World) -> None:
    jobs: list[Job] = []

    def prepare() -> None:
        jobs.append(world.job())
        run = a_run(job=jobs[-1].id)
        record = encode(result_record(error=FAILED))
        world.cluster.store.put(keys.of_run(run, keys.RESULT), record)

    for place in sweep(world, prepare, lambda: world.cluster.settle(a_run(job=jobs[-1].id))):
        assert world.cluster.job(TENANT, jobs[-1].id).status is Status.FAILED, place


@pytest.mark.fault(
    "the broker refuses the first message of five submissions",
    "no open run stays, the quota is free",
)
def test_a_submission_that_the_broker_refuses_leaves_no_open_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redis.exceptions import OutOfMemoryError

    from tasks.fair_channel import FairChannel

    def full(*_: object, **__: object) -> None:
        raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")

    with monkeypatch.context() as patch:
        patch.setattr(FairChannel, "_put", full)
        for _ in range(5):  # more than the quota of jobs in flight
            with pytest.raises(ScriptoriumError):
                world.job()
    world.recover()
    world.assert_consistent()
    for _ in range(3):
        assert world.job().status is Status.QUEUED

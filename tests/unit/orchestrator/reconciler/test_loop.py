"""The loop: passes, and the duties beside them, which delay no pass."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.deletion import Tombstone
from orchestrator.reconciler import Reconciler, leading
from orchestrator.reconciler.housekeeping import Housekeeping
from orchestrator.reconciler.leading import Leading
from orchestrator.reconciler.rescuing import Rescuing
from orchestrator.reconciler.restoring import Restoring
from orchestrator.scaling.published import published
from tasks.artifacts import exists
from tasks.runs import keys
from tasks.runs.stages import Stage
from tasks.runs.units import Unit
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.inputs.examples import TENANT, a_manifest, a_run, a_unit, write_records
from tests.queued_units import queued_units
from tests.unit.orchestrator.reconciler.passes import is_renewed, open_job, with_settings


@pytest.mark.slow
def test_of_two_reconcilers_one_leads(connection: Cluster, redis: Redis) -> None:
    quick = with_settings(connection, reconcile_seconds=0.01, reconcile_grace_seconds=0.01)
    open_job(quick)
    redis.set("scriptorium:reconciler", "another", px=300)
    stop = threading.Event()
    thread = threading.Thread(target=Reconciler(quick).run, args=(stop,))
    thread.start()
    try:
        assert eventually(lambda: queued_units(redis) == {a_unit(Stage.PREPARE)})
        assert redis.get("scriptorium:reconciler") != b"another"
    finally:
        stop.set()
        thread.join()


def test_a_fault_ends_a_pass_and_not_the_loop(
    connection: Cluster, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = with_settings(connection, reconcile_seconds=0.01)
    passes: list[Exception | None] = [ValueError("a bug"), ConnectionError("x"), None]
    reconciler, stop = Reconciler(quick), threading.Event()

    def reconcile() -> None:
        fault = passes.pop(0)
        if fault is not None:
            raise fault
        stop.set()

    monkeypatch.setattr(reconciler, "reconcile", reconcile)
    reconciler.run(stop)
    assert passes == []


def test_the_loop_outlives_a_redis_that_is_away(
    connection: Cluster, no_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, asked = threading.Event(), 0

    def leads(*_: object, **__: object) -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            stop.set()
        return bool(no_redis.ping())

    broken = with_settings(connection, reconcile_seconds=0.01)
    monkeypatch.setattr(broken.redis, "set", leads)
    Reconciler(broken).run(stop)
    assert asked == 3


@contextmanager
def running(connection: Cluster) -> Iterator[None]:
    """A reconciler's loop, quick, in a thread."""
    quick = with_settings(
        connection, reconcile_seconds=0.01, reconcile_grace_seconds=0.01, audit_seconds=0.01
    )
    stop = threading.Event()
    thread = threading.Thread(target=Reconciler(quick).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


SLOW_DUTIES = [
    (Restoring, "restore"),
    (Housekeeping, "end_deletions"),
    (Housekeeping, "remove_unused_uploads"),
]


def test_a_duty_that_hangs_delays_no_rescue(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, over = threading.Semaphore(0), threading.Event()

    def hang(_: object) -> None:
        hung.release()
        over.wait()

    for owner, name in SLOW_DUTIES:
        monkeypatch.setattr(owner, name, hang)
    with running(connection):
        assert all(hung.acquire(timeout=PATIENCE_SECONDS) for _ in SLOW_DUTIES)
        open_job(connection)
        assert eventually(lambda: queued_units(connection.redis) == {a_unit(Stage.PREPARE)})
        over.set()


@pytest.mark.parametrize("fault", [ZeroDivisionError("a bug"), StoreUnavailable("it is away")])
def test_a_duty_that_fails_keeps_nothing_from_being_issued_again(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    failed = threading.Semaphore(0)

    def fail(_: object) -> None:
        failed.release()
        raise fault

    for owner, name in SLOW_DUTIES:
        monkeypatch.setattr(owner, name, fail)
    with running(connection):
        assert all(failed.acquire(timeout=PATIENCE_SECONDS) for _ in SLOW_DUTIES)
        open_job(connection)
        assert eventually(lambda: queued_units(connection.redis) == {a_unit(Stage.PREPARE)})


def test_the_loop_calls_every_duty(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(keys.open_run(a_run()), b"")  # only the store knows of it
    stone = Tombstone(TENANT, "deleted", 1000.0, 1, {})
    connection.store.put(stone.key, stone.to_bytes())
    old = f"{0:011x}0123"
    connection.store.put(keys.upload(TENANT, old), b"audio")
    with running(connection):
        assert eventually(lambda: queued_units(connection.redis) == {a_unit(Stage.PREPARE)})
        assert eventually(lambda: published(connection.redis) is not None)
        assert eventually(lambda: not exists(connection.store, keys.upload(TENANT, old)))
        assert eventually(lambda: not exists(connection.store, stone.key))


@pytest.mark.slow
def test_a_pass_that_takes_longer_than_the_lock_keeps_the_lead(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "LEAST_SECONDS", 3.0)  # renewed after 1 s: a busy machine is late
    begun, over = threading.Event(), threading.Event()

    def slow(_: Rescuing, surveys: object) -> tuple[Unit, ...]:
        begun.set()
        over.wait()
        return ()

    monkeypatch.setattr(Rescuing, "lost", slow)
    second = Leading(connection.redis, 0.01)
    with running(connection):
        assert begun.wait(PATIENCE_SECONDS)
        assert is_renewed(connection.redis)
        has_taken = second.take()
        over.set()
        assert not has_taken
    assert second.take()  # at once: the other one has let it go


def test_a_loop_that_has_ended_leaves_no_thread(connection: Cluster) -> None:
    before = set(threading.enumerate())
    with running(connection):
        assert eventually(lambda: not connection.jobs.is_wiped())
    # One of another test may end meanwhile, and a duty may take longer than it is waited for.
    assert eventually(lambda: not set(threading.enumerate()) - before)

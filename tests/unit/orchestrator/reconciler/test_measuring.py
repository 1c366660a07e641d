"""The load is published, and its faults keep nothing from being issued again."""

from __future__ import annotations

import time

import pytest
from redis.exceptions import ConnectionError as RedisAway
from structlog.testing import capture_logs

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.reconciler import Reconciler
from orchestrator.reconciler.measuring import Measuring
from orchestrator.reconciler.rescuing import Rescuing
from orchestrator.scaling.published import fresh_load, published
from orchestrator.scaling.scaler import Scaler
from tasks.runs.stages import Stage
from tests.unit.orchestrator.reconciler.passes import Clock, issued, open_job


def test_a_load_that_cannot_be_measured_keeps_nothing_from_being_issued_again(
    connection: Cluster,
    reconciler: Reconciler,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Scaler, "publish", fail)
    open_job(connection)
    assert issued(reconciler, clock) == [(Stage.PREPARE, 0)]


def test_an_outage_is_said_once(connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RedisAway("it is away")

    measuring = Measuring(connection)
    with capture_logs() as lines:
        with monkeypatch.context() as patch:
            patch.setattr(Scaler, "publish", fail)
            for _ in range(3):
                measuring.measure((), 0)
        measuring.measure((), 0)
        monkeypatch.setattr(Scaler, "publish", fail)
        measuring.measure((), 0)
    assert [line["event"] for line in lines] == ["load_not_measured"] * 2


def test_the_load_is_published_though_the_store_is_away(
    connection: Cluster, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailable("it is away")

    open_job(connection)
    monkeypatch.setattr(Rescuing, "lost", fail)
    with pytest.raises(StoreUnavailable):
        reconciler.reconcile()
    assert fresh_load(connection.redis, time.time()).open_runs == 1


def test_a_wiped_redis_does_not_look_like_no_work(
    connection: Cluster, reconciler: Reconciler
) -> None:
    open_job(connection)
    connection.redis.flushall()
    reconciler.reconcile()
    assert published(connection.redis) is None
    reconciler._restoring.restore()
    reconciler.reconcile()
    assert fresh_load(connection.redis, time.time()).open_runs == 1


def test_the_units_of_reconcilers_that_lead_in_turn_are_added_up(connection: Cluster) -> None:
    """The counter must not fall: Prometheus would take each fall for new events."""
    connection.jobs.restored()
    first, second = Reconciler(connection), Reconciler(connection)
    seen = []
    for leader, so_far in [(first, 12), (second, 0), (first, 12), (second, 3), (first, 13)]:
        leader._rescuing.reissued_units = so_far
        leader.reconcile()
        leader._leading.release()
        seen.append(fresh_load(connection.redis, time.time()).reissued_units)
    assert seen == [12, 12, 12, 15, 16]


def test_what_was_counted_while_the_load_could_not_be_published_is_not_lost(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RedisAway("it is away")

    measuring = Measuring(connection)
    measuring.measure((), 1)
    with monkeypatch.context() as patch:
        patch.setattr(Scaler, "publish", fail)
        measuring.measure((), 3)
    measuring.measure((), 4)
    assert fresh_load(connection.redis, time.time()).reissued_units == 4


def test_units_that_were_issued_again_are_counted(
    connection: Cluster, reconciler: Reconciler, clock: Clock
) -> None:
    open_job(connection)
    assert issued(reconciler, clock)
    assert fresh_load(connection.redis, time.time()).reissued_units == 1

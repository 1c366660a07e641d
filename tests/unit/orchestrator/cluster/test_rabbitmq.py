"""When a message in RabbitMQ is taken for waiting, and when its turn has passed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import SecretStr

from config.settings import Settings
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.costs import UNKNOWN
from orchestrator.cluster.rabbitmq import FORGET_SECONDS, AmqpQueues
from orchestrator.cluster.turns import MARGIN_SECONDS
from orchestrator.jobs.runs import issue
from orchestrator.local.cluster import LocalCluster, announce, running_cluster
from orchestrator.reconciler import Reconciler
from tasks import broker
from tasks.broker import BrokerUnavailable
from tasks.runs import keys
from tasks.runs.canvas import signature
from tasks.runs.stages import Lane, Stage, queues
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tests.inputs.examples import a_manifest, a_plan, a_run, a_unit, write_records
from tests.servers.rabbitmq import RabbitServer

GRACE = 5.0
OTHER = a_unit(index=99)  # of another process, in the same queue


class Clock:
    """A time that passes when it is told to; senders and adapter read the same."""

    def __init__(self) -> None:
        self.now = time.time() - 24 * 3600

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(broker, "time", SimpleNamespace(time=clock))
    return clock


@pytest.fixture
def cluster(
    rabbit: RabbitServer, settings: Settings, connection: Cluster, clock: Clock
) -> Iterator[Cluster]:
    """Empty queues, and a run of two chunks in the interactive lane."""
    opened = open_cluster(settings.model_copy(update={"broker_url": SecretStr(rabbit.url)}))
    object.__setattr__(opened, "queues", AmqpQueues(opened.celery, opened.records, clock=clock))
    opened.queues.lengths()
    for name in queues():
        take(opened, name)
    write_records(opened.store, a_manifest(), a_plan(10, 10))
    yield opened
    opened.close()


def take(cluster: Cluster, queue: str, number: int | None = None) -> None:
    """The first messages of a queue are gone; by default all."""
    with cluster.celery.connection_for_write() as connection:
        if number is None:
            connection.default_channel.queue_purge(queue)
        for _ in range(number or 0):
            assert connection.default_channel.basic_get(queue, no_ack=True) is not None


def send(cluster: Cluster, unit: Unit, lane: Lane = Lane.INTERACTIVE) -> None:
    signature(cluster.celery, unit, lane).apply_async(ignore_result=True)


def is_queued(cluster: Cluster, unit: Unit) -> bool:
    return cluster.queues.queued([unit]) == {unit}


def test_a_message_may_wait_until_one_that_was_sent_later_is_the_first(
    cluster: Cluster, clock: Clock
) -> None:
    send(cluster, OTHER)
    assert is_queued(cluster, a_unit(index=0))
    clock.now += MARGIN_SECONDS + 60
    send(cluster, OTHER)
    assert is_queued(cluster, a_unit(index=0))
    take(cluster, "transcribe.interactive", 1)
    assert not is_queued(cluster, a_unit(index=0))
    assert is_queued(cluster, a_unit(index=1))  # asked about for the first time


def test_what_was_issued_again_has_a_new_turn(cluster: Cluster, clock: Clock) -> None:
    send(cluster, OTHER)
    assert is_queued(cluster, a_unit())
    clock.now += 1000
    take(cluster, "transcribe.interactive")
    send(cluster, OTHER)
    assert not is_queued(cluster, a_unit())
    cluster.queues.issued(a_unit())
    assert is_queued(cluster, a_unit())


def test_a_message_is_looked_for_in_its_own_lane(cluster: Cluster) -> None:
    send(cluster, OTHER, Lane.BULK)
    assert not is_queued(cluster, a_unit())
    in_bulk = a_unit(Stage.PREPARE, job="in-bulk")
    write_records(cluster.store, a_manifest("in-bulk", lane="bulk"))
    send(cluster, a_unit(Stage.PREPARE), Lane.BULK)
    assert is_queued(cluster, in_bulk)
    assert not is_queued(cluster, a_unit(Stage.PREPARE, job="deleted"))
    send(cluster, a_unit(Stage.ASSEMBLE))
    assert not is_queued(cluster, a_unit(Stage.DIARIZE))


def test_chunks_are_sent_no_earlier_than_their_fan_out_is_taken(
    cluster: Cluster, clock: Clock
) -> None:
    send(cluster, a_unit(Stage.FAN_OUT))
    assert is_queued(cluster, a_unit())
    clock.now += 1000
    assert is_queued(cluster, a_unit())
    take(cluster, "fan_out.interactive")
    send(cluster, OTHER)  # just before ours
    assert is_queued(cluster, a_unit())


def test_a_sender_whose_clock_is_ahead_makes_no_message_a_lost_one(
    cluster: Cluster, clock: Clock
) -> None:
    clock.now += 1000
    send(cluster, OTHER)
    clock.now -= 1000
    assert is_queued(cluster, a_unit())


def test_a_unit_that_nobody_asked_about_for_long_is_forgotten(
    cluster: Cluster, clock: Clock
) -> None:
    send(cluster, OTHER)
    assert is_queued(cluster, a_unit())
    clock.now += FORGET_SECONDS + 1
    take(cluster, "transcribe.interactive")
    send(cluster, OTHER)
    assert cluster.queues.queued([]) == set()
    assert is_queued(cluster, a_unit())


def test_a_lost_message_is_issued_again_once_though_the_queue_never_runs_empty(
    cluster: Cluster, clock: Clock
) -> None:
    cluster.store.put(keys.open_run(a_run()), b"")
    cluster.jobs.add(a_manifest(), a_run())
    cluster.ledger.record(a_unit(Stage.PREPARE), Receipt("computed"))
    cluster.jobs.restored()
    reconciler = Reconciler(cluster, clock=clock)

    def passes() -> list[tuple[int, ...]]:
        found = []
        for _ in range(6):
            found.append(tuple(unit.index for unit in reconciler.reconcile()))
            clock.now += GRACE
        return found

    send(cluster, OTHER)
    send(cluster, a_unit(index=0))  # that of chunk 1 was lost
    assert set(passes()) == {()}  # no worker is there
    clock.now += 1000
    send(cluster, OTHER)
    assert set(passes()) == {()}
    take(cluster, "transcribe.interactive", 2)
    cluster.ledger.record(a_unit(index=0), Receipt("computed"))
    found = passes()
    assert found.count((1,)) == 1 and set(found) == {(), (1,)}
    assert cluster.queues.lengths()["transcribe.interactive"] == 2
    clock.now += 1000
    assert set(passes()) == {()}  # it waits again


@pytest.mark.slow
def test_a_connection_that_was_lost_meanwhile_is_made_again(
    cluster: Cluster, rabbit: RabbitServer
) -> None:
    send(cluster, a_unit())
    rabbit.stop()
    with pytest.raises(BrokerUnavailable):
        cluster.queues.lengths()
    with pytest.raises(BrokerUnavailable, match="not accepted"):
        issue(cluster, a_manifest(), a_run(), UNKNOWN)
    rabbit.start()
    assert cluster.queues.lengths()["transcribe.interactive"] == 1
    assert is_queued(cluster, a_unit())


@pytest.mark.slow
def test_a_rabbitmq_that_is_away_is_named_without_its_password(
    settings: Settings, connection: Cluster, tmp_path: Path
) -> None:
    away = SecretStr("amqp://me:canary@127.0.0.1:1/here")
    opened = open_cluster(settings.model_copy(update={"broker_url": away}))
    with pytest.raises(BrokerUnavailable) as caught:
        opened.queues.lengths()
    opened.close()
    assert "127.0.0.1:1" in caught.value.message and "canary" not in str(caught.value)


def test_other_commands_of_this_user_find_the_running_cluster_s_rabbitmq(
    settings: Settings, connection: Cluster, tmp_path: Path
) -> None:
    url = SecretStr("amqp://127.0.0.1:1//")
    opened = open_cluster(settings.model_copy(update={"broker_url": url}))
    home = settings.model_copy(update={"home": tmp_path, "broker_url": None})
    for cluster, known in ((opened, url), (connection, None)):
        announce(cast(LocalCluster, SimpleNamespace(services=cluster, api_url=None)), tmp_path)
        found = running_cluster(home)
        assert found is not None and found.broker_url == known
    opened.close()

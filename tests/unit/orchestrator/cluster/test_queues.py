"""What waits in the queues: the same of both brokers, and what is special of reading Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import Settings
from orchestrator.cluster import queues as module
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.queues import RedisQueues, read_unit
from orchestrator.cluster.rabbitmq import AmqpQueues
from tasks.broker import SENT_AT
from tasks.fair_queue import clear, message_of
from tasks.runs.canvas import fan_out_canvas, run_canvas, signature
from tasks.runs.stages import Lane, Stage, queues
from tasks.runs.units import Unit
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.queued_units import queued_units

LIST = f"transcribe.bulk:of:{TENANT}"  # of the messages of the examples


@pytest.fixture(params=["redis", "rabbitmq"])
def cluster(
    request: pytest.FixtureRequest, settings: Settings, connection: Cluster
) -> Iterator[Cluster]:
    """A connection to empty queues of either broker."""
    if request.param == "redis":
        yield connection
        return
    url = SecretStr(request.getfixturevalue("rabbit").url)
    opened = open_cluster(settings.model_copy(update={"broker_url": url}))
    opened.queues.lengths()  # declares them
    empty(opened)
    yield opened
    opened.close()


def empty(cluster: Cluster) -> None:
    if cluster.settings.broker_url is None:
        clear(cluster.redis, queues())
        return
    with cluster.celery.connection_for_write() as broker:
        for name in queues():
            broker.default_channel.queue_purge(name)


def send(cluster: Cluster, *units: Unit, lane: Lane = Lane.BULK) -> None:
    for unit in units:
        signature(cluster.celery, unit, lane).apply_async(ignore_result=True)


@pytest.mark.slow
def test_each_broker_has_its_own_kind(cluster: Cluster) -> None:
    kind = RedisQueues if cluster.settings.broker_url is None else AmqpQueues
    assert type(cluster.queues) is kind


def test_no_queue_waits_at_first(cluster: Cluster) -> None:
    assert cluster.queues.lengths() == dict.fromkeys(queues(), 0)
    assert cluster.queues.ages(time.time()) == {}
    assert cluster.queues.queued([a_unit()]) == set()


def test_a_message_waits_in_the_queue_of_its_stage_and_lane(cluster: Cluster) -> None:
    send(cluster, a_unit(index=0), a_unit(index=1))
    send(cluster, a_unit(Stage.ASSEMBLE))
    waiting = {name: length for name, length in cluster.queues.lengths().items() if length}
    assert waiting == {"transcribe.bulk": 2, "assemble.interactive": 1}


def test_what_a_message_asks_for_is_queued_until_it_is_taken(cluster: Cluster) -> None:
    write_records(cluster.store, a_manifest(lane="bulk"), a_plan(10, 10))
    suspects = [a_unit(index=0), a_unit(Stage.ASSEMBLE)]
    send(cluster, a_unit(index=0))
    assert cluster.queues.queued(suspects) == {a_unit(index=0)}
    assert cluster.queues.queued(suspects) == {a_unit(index=0)}
    empty(cluster)
    assert cluster.queues.queued(suspects) == set()
    cluster.queues.issued(a_unit(index=0))
    send(cluster, a_unit(index=0))
    assert cluster.queues.queued(suspects) == {a_unit(index=0)}


def test_what_is_still_to_be_fanned_out_is_queued(cluster: Cluster) -> None:
    send(cluster, a_unit(Stage.FAN_OUT), lane=Lane.INTERACTIVE)
    suspects = [a_unit(index=1), a_unit(Stage.EMBED_SPEAKERS), a_unit(Stage.ASSEMBLE)]
    assert cluster.queues.queued(suspects) == set(suspects[:2])


def test_a_queue_is_as_old_as_its_first_message(cluster: Cluster) -> None:
    send(cluster, a_unit(index=0))
    first_sent = time.time()
    send(cluster, a_unit(index=1))
    ages = cluster.queues.ages(first_sent + 60)
    assert list(ages) == ["transcribe.bulk"]
    assert 60.0 <= ages["transcribe.bulk"] < 90.0


def test_looking_takes_nothing_and_changes_no_order(cluster: Cluster) -> None:
    send(cluster, *(a_unit(index=index) for index in range(3)), lane=Lane.INTERACTIVE)
    for _ in range(3):
        cluster.queues.ages(time.time())
        cluster.queues.queued([a_unit(index=2)])
    assert cluster.queues.lengths()["transcribe.interactive"] == 3
    with cluster.celery.connection_for_read() as broker:
        queue = broker.SimpleQueue(cluster.celery.amqp.queues["transcribe.interactive"])
        taken = [queue.get(timeout=PATIENCE_SECONDS).decode()[1]["index"] for _ in range(3)]
        queue.close()
    assert taken == [0, 1, 2]


def test_a_message_is_read_back_as_its_unit(connection: Cluster) -> None:
    unit = a_unit(index=7, run=3)
    signature(connection.celery, unit, Lane.BULK).apply_async(ignore_result=True)
    assert queued_units(connection.redis) == {unit}


def test_of_a_run_only_the_first_stage_waits(connection: Cluster) -> None:
    run_canvas(connection.celery, a_manifest(language=None), a_run()).apply_async(
        ignore_result=True
    )
    assert queued_units(connection.redis) == {a_unit(Stage.PREPARE)}


def test_all_chunks_of_a_chord_wait(connection: Cluster) -> None:
    canvas = fan_out_canvas(
        connection.celery,
        [(a_unit(index=index),) for index in range(5)],
        [a_unit(Stage.ASSEMBLE)],
        Lane.INTERACTIVE,
    )
    for header in canvas.tasks:  # the chord itself would subscribe to its results
        header.apply_async(ignore_result=True)
    assert queued_units(connection.redis) == {a_unit(index=index) for index in range(5)}


def test_long_queues_are_read_in_pages(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    for index in range(10):
        signature(connection.celery, a_unit(index=index), Lane.BULK).apply_async(ignore_result=True)
    assert queued_units(connection.redis) == {a_unit(index=index) for index in range(10)}
    connection.redis.rpop(LIST, 2)
    assert len(queued_units(connection.redis)) == 8


def test_a_message_of_somebody_else_is_no_unit(connection: Cluster) -> None:
    ping = connection.celery.signature("celery.ping", queue="prepare.bulk")
    ping.apply_async(ignore_result=True)
    message = connection.redis.lindex("prepare.bulk:of:", 0)
    assert isinstance(message, bytes) and read_unit(message_of(message)) is None
    assert queued_units(connection.redis) == set()


def test_a_unit_in_a_queue_that_is_too_long_to_be_read_waits_for_its_turn(
    connection: Cluster,
) -> None:
    write_records(connection.store, a_manifest(lane="bulk"), a_plan(*[10] * 3))
    now = [time.time()]
    queues = RedisQueues(connection.redis, connection.records, longest=1, clock=lambda: now[0])
    send(connection, a_unit(index=0), a_unit(index=1))
    assert set(queues.unread()) == {"transcribe.bulk"}
    suspects = [a_unit(index=0), a_unit(index=2)]
    assert queues.queued(suspects) == set(suspects)  # nothing tells them apart
    now[0] += 3600.0
    assert queues.queued(suspects) == set(suspects)
    sent: Any = connection.redis.lrange(LIST, 0, -1)
    connection.redis.delete(LIST)
    for item in sent:  # those before were taken; these were sent half an hour later
        envelope = json.loads(message_of(item))
        envelope["headers"][SENT_AT] += 1800.0
        connection.redis.lpush(LIST, f"10.0 {json.dumps(envelope)}")
    assert queues.queued(suspects) == set()
    queues.issued(a_unit(index=2))
    assert queues.queued(suspects) == {a_unit(index=2)}
    connection.redis.rpop(LIST)  # now it can be read
    assert queues.unread() == {}


def test_a_unit_of_another_lane_than_the_long_queue_s_is_missing(connection: Cluster) -> None:
    write_records(connection.store, a_manifest(lane="interactive"), a_plan(10))
    queues = RedisQueues(connection.redis, connection.records, longest=1)
    send(connection, a_unit(index=0, job="other"), a_unit(index=1, job="other"))
    assert queues.queued([a_unit(index=0)]) == set()


def test_messages_that_are_added_and_taken_while_a_queue_is_read_hide_none(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    send(connection, *(a_unit(index=index) for index in range(9)))
    lrange = connection.redis.lrange

    def busy(name: str, start: int, end: int) -> object:
        page = lrange(name, start, end)
        if name == LIST:
            send(connection, a_unit(index=90 + start))
            connection.redis.rpop(name)
        return page

    monkeypatch.setattr(connection.redis, "lrange", busy)
    found = {unit.index for unit in queued_units(connection.redis)}
    monkeypatch.setattr(connection.redis, "lrange", lrange)
    left = {unit.index for unit in queued_units(connection.redis)}
    assert left & set(range(9)) <= found  # those that were in it all the time

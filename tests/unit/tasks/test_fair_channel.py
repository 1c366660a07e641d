"""kombu's channel with fair queues: what is sent is taken in turns, and nothing is lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty
from typing import Any

import pytest
from celery import Celery
from kombu.connection import Connection
from kombu.messaging import Consumer
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from tasks.broker import make_app
from tasks.fair_channel import FairChannel
from tasks.fair_queue import bell, lengths, lists
from tasks.runs.canvas import signature
from tasks.runs.stages import Lane, Stage
from tasks.runs.units import Run
from tests.eventually import PATIENCE_SECONDS

QUEUE = "transcribe.bulk"
LONG_POLL = 2 * PATIENCE_SECONDS  # what is taken before the poll's end is taken by its bell


@pytest.fixture
def celery(redis_url: str, redis: Redis) -> Iterator[Celery]:
    with make_app(Settings(redis_url=SecretStr(redis_url)), only_sends=True) as app:
        yield app


@pytest.fixture
def channel(celery: Celery, redis: Redis) -> Iterator[FairChannel]:
    with celery.connection_for_read() as connection:
        yield connection.channel()
        for client in redis.client_list():  # at its end a channel waits for the poll's
            if "b" in client["flags"]:
                redis.client_unblock(int(client["id"]))


def send(celery: Celery, tenant: str, index: int, seconds: float = 30.0) -> None:
    unit = Run(tenant, "job", 1).unit(Stage.TRANSCRIBE, index)
    signature(celery, unit, Lane.BULK, lambda _: seconds).apply_async(ignore_result=True)


def taken(channel: Any, celery: Celery, count: int, seconds: float = 5.0) -> list[tuple[str, int]]:
    """Consume as a worker does, but without an event loop."""
    found: list[tuple[str, int]] = []

    def on_message(body: Any, message: Any) -> None:
        found.append((body[1]["tenant"], body[1]["index"]))
        message.ack()

    consumer = Consumer(
        channel, [celery.amqp.queues[QUEUE]], callbacks=[on_message], accept=["json"]
    )
    until = time.monotonic() + seconds
    with consumer:
        while len(found) < count and time.monotonic() < until:
            try:
                channel.connection.client.drain_events(timeout=0.2)
            except TimeoutError:
                continue
    return found


def test_messages_of_two_tenants_are_taken_in_turns(celery: Celery, channel: Any) -> None:
    for index in range(4):
        send(celery, "a", index)
    for index in range(2):
        send(celery, "b", index)
    found = taken(channel, celery, 6)
    assert sorted(found[:4]) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert found[4:] == [("a", 2), ("a", 3)]


def test_a_waiting_consumer_is_woken_by_a_message(celery: Celery, channel: Any) -> None:
    channel.brpop_timeout = LONG_POLL

    def later() -> None:
        time.sleep(0.5)
        send(celery, "a", 7)

    thread = threading.Thread(target=later)
    thread.start()
    assert taken(channel, celery, 1, PATIENCE_SECONDS) == [("a", 7)]
    thread.join()


class Crowded:
    """A consumer of three slots, of which one tenant has two and has more messages waiting."""

    def __init__(self, celery: Celery, channel: Any) -> None:
        for index in range(4):
            send(celery, "flood", index)
        self._channel = channel
        channel.brpop_timeout = 0.1  # many polls in a short time
        self.held: list[Any] = []
        channel.basic_qos(0, 3, False)
        self.consumer = Consumer(
            channel, [celery.amqp.queues[QUEUE]], on_message=self.held.append, accept=["json"]
        )
        self.consumer.consume()
        while len(self.held) < 2:
            self.look(5.0)
        self.look(0.5)  # the bells of messages that are taken have rung, and it waits for guests

    def poll_long(self) -> None:
        """Wait from now on for longer than a test does."""
        self._channel.brpop_timeout = LONG_POLL
        self.look(0.3)

    def look(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Take messages until one more is here; return whether one came within the seconds."""
        began, count = time.monotonic(), len(self.held)
        while len(self.held) == count and time.monotonic() - began < seconds:
            with suppress(TimeoutError):
                self._channel.connection.client.drain_events(timeout=0.05)
        return len(self.held) > count

    @property
    def tenants(self) -> list[str]:
        return [message.headers["scriptorium_share"][0] for message in self.held]


def test_a_worker_kept_for_guests_takes_their_message_at_once(celery: Celery, channel: Any) -> None:
    crowded = Crowded(celery, channel)
    crowded.poll_long()
    assert crowded.tenants == ["flood"] * 2
    send(celery, "guest", 0)
    assert crowded.look()
    assert crowded.tenants == ["flood", "flood", "guest"]


def test_a_worker_kept_for_guests_takes_a_message_of_the_flood_as_soon_as_one_is_done(
    celery: Celery, channel: Any
) -> None:
    crowded = Crowded(celery, channel)
    crowded.poll_long()
    crowded.held[0].ack()
    assert crowded.look()
    assert crowded.tenants == ["flood"] * 3


def test_a_slot_that_is_freed_just_when_the_worker_begins_to_wait_for_guests_is_seen(
    celery: Celery, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded = Crowded(celery, channel)
    at_limit, freed = channel.qos.tenant_at_limit, list[bool]()

    def asked() -> str | None:
        found: str | None = at_limit()
        if channel._waits_for_bell and not freed:
            freed.append(True)
            channel.brpop_timeout = LONG_POLL
            crowded.held[0].ack()  # as a thread does, between the question and the wait
        return found

    monkeypatch.setattr(channel.qos, "tenant_at_limit", asked)
    assert crowded.look() and freed
    assert crowded.tenants == ["flood"] * 3


def test_a_redis_that_forgot_the_scripts_gets_them_again(
    celery: Celery, channel: Any, redis: Redis
) -> None:
    send(celery, "a", 0)
    redis.script_flush()
    assert taken(channel, celery, 1) == [("a", 0)]
    redis.script_flush()
    send(celery, "a", 1)
    assert taken(channel, celery, 1) == [("a", 1)]


def test_a_batch_of_messages_is_put_as_single_ones_are(
    celery: Celery, channel: Any, redis: Redis
) -> None:
    redis.script_flush()
    batch = channel.create_publish_batch(10)
    for index in range(3):
        unit = Run("a", "job", 1).unit(Stage.TRANSCRIBE, index)
        headers = signature(celery, unit, Lane.BULK).options["headers"]
        message = channel.prepare_message(
            json.dumps([[], {"tenant": "a", "index": index}, {}]), headers=headers,
            content_type="application/json", content_encoding="utf-8",
        )  # fmt: skip
        batch.publish(message, exchange="", routing_key=QUEUE)
    assert lengths(redis, lists(redis, [QUEUE])) == {}
    batch.flush()
    batch.close()
    assert lengths(redis, lists(redis, [QUEUE])) == {f"{QUEUE}:of:a": 3}


@pytest.mark.parametrize(("requeue", "order"), [(True, [1, 0]), (False, [1])])
def test_a_message_that_is_returned_goes_behind_its_tenant_s_others(
    celery: Celery, channel: Any, requeue: bool, order: list[int]
) -> None:
    send(celery, "a", 0)
    send(celery, "a", 1)
    message = celery.amqp.queues[QUEUE](channel).get(no_ack=False, accept=["json"])
    message.reject(requeue=requeue)
    assert [index for _, index in taken(channel, celery, len(order))] == order


def test_what_a_lost_worker_held_goes_before_its_tenant_s_others(
    celery: Celery, channel: Any
) -> None:
    send(celery, "a", 0)
    message = celery.amqp.queues[QUEUE](channel).get(no_ack=False, accept=["json"])
    send(celery, "a", 1)
    channel.qos.restore_by_tag(message.delivery_tag)
    found = taken(channel, celery, 2)
    assert found == [("a", 0), ("a", 1)]


def test_a_fair_queue_can_be_measured_purged_and_deleted(
    celery: Celery, channel: Any, redis: Redis
) -> None:
    assert not channel._has_queue(QUEUE) and channel._size(QUEUE) == 0
    send(celery, "a", 0)
    send(celery, "b", 0)
    assert channel._has_queue(QUEUE) and channel._size(QUEUE) == 2
    assert channel._purge(QUEUE) == 2 and channel._size(QUEUE) == 0
    send(celery, "a", 0)
    channel._delete(QUEUE, "", QUEUE, "")
    assert redis.keys(f"{QUEUE}*") == []
    with pytest.raises(Empty):
        channel._get(QUEUE)


def test_other_queues_stay_as_kombu_has_them(redis_url: str, redis: Redis) -> None:
    make_app(Settings())
    with Connection(redis_url) as connection, connection.SimpleQueue("letters") as queue:
        queue.put({"to": "b"})
        assert redis.llen("letters") == 1 and not redis.exists(bell("letters"))
        channel = queue.channel
        assert channel._has_queue("letters") and channel._size("letters") == 1
        assert queue.get(timeout=PATIENCE_SECONDS).payload == {"to": "b"}
        queue.put({"to": "c"})
        assert channel._purge("letters") == 1

"""A slot is free again when its message is done, whatever Redis says to that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state
from kombu.asynchronous import Hub, set_event_loop
from kombu.connection import Connection
from kombu.entity import Queue
from redis import Redis
from redis.exceptions import ReadOnlyError

from config.settings import Settings
from tasks import delivery_watch
from tasks.broker import make_app
from tasks.deliveries import Deliveries
from tasks.delivery_watch import DEAF_SECONDS, EXIT_DEAF, DeliveryWatch
from tasks.fair_channel import FairChannel
from tasks.ramp import STEP_SECONDS
from tests.eventually import PATIENCE_SECONDS

QUEUE = "deliveries"


@pytest.fixture
def channel(redis_url: str, redis: Redis) -> Iterator[Any]:
    """A channel that takes one message at a time, as a worker's."""
    make_app(Settings())
    with Connection(redis_url) as connection:
        channel = connection.channel()
        channel.basic_qos(0, 1, False)
        yield channel


def take(channel: Any) -> Any:
    """Send a message and take it."""
    queue = Queue(QUEUE, channel=channel)
    queue.declare()
    channel.basic_publish(
        channel.prepare_message("x", content_type="text/plain", content_encoding="utf-8"),
        exchange="", routing_key=QUEUE,
    )  # fmt: skip
    return queue.get(no_ack=False)


def refuse(*_: Any, **__: Any) -> Any:
    raise ReadOnlyError("You can't write against a read only replica.")


@pytest.mark.parametrize("end", ["ack", "reject", "requeue"])
def test_a_refused_deletion_frees_the_slot_and_is_done_with_the_next_message(
    channel: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    message = take(channel)
    assert not channel.qos.can_consume()
    with monkeypatch.context() as patch:
        for name in ("_remove_from_indices", "restore_by_tag"):
            patch.setattr(Deliveries, name, refuse)
        getattr(message, end)()
    assert channel.qos.can_consume()
    assert redis.hlen("unacked") == 1
    take(channel).ack()
    assert redis.hlen("unacked") == 0


def test_what_is_handed_back_is_taken_next_and_what_was_done_is_not(
    channel: Any, redis: Redis
) -> None:
    channel.basic_qos(0, 3, False)
    take(channel).ack()
    held = take(channel)
    queue = Queue(QUEUE, channel=channel)
    channel.qos.hand_back()
    assert redis.hlen("unacked") == 0
    again = queue.get(no_ack=False)
    assert again is not None and again.delivery_tag == held.delivery_tag
    assert queue.get(no_ack=False) is None


def test_a_message_that_redis_deletes_is_forgotten_at_once(channel: Any, redis: Redis) -> None:
    take(channel).ack()
    assert channel.qos.can_consume()
    assert redis.hlen("unacked") == 0
    assert isinstance(channel.qos, Deliveries) and isinstance(channel, FairChannel)


class Consumer:
    """The part of Celery's consumer that the watch looks at."""

    def __init__(self, channel: Any) -> None:
        self.task_consumer = type("Tasks", (), {"channel": channel})


def test_a_worker_that_holds_a_message_and_runs_nothing_ends(
    channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    now = [0.0]
    monkeypatch.setattr("os._exit", ended.append)
    monkeypatch.setattr(delivery_watch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    watch, consumer = DeliveryWatch(None), Consumer(channel)
    watch.look(consumer)
    message = take(channel)
    for second in range(0, int(DEAF_SECONDS), 10):
        now[0] = 100.0 + second
        watch.look(consumer)
    assert ended == []
    now[0] = 100.0 + DEAF_SECONDS
    watch.look(consumer)
    assert ended == [EXIT_DEAF]
    message.ack()
    watch.look(consumer)
    now[0] += 1000.0
    watch.look(consumer)
    assert ended == [EXIT_DEAF]


def test_a_message_whose_unit_runs_or_waits_is_not_lost(
    channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Request:
        """A unit that the worker knows."""

    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    monkeypatch.setattr(delivery_watch, "DEAF_SECONDS", 0.0)
    request, message = Request(), take(channel)
    for known in (state.reserved_requests, state.scheduled_requests):
        known.add(request)
        DeliveryWatch(None).look(Consumer(channel))
        known.discard(request)
    assert ended == []
    message.ack()


def test_an_idle_consumer_takes_messages_a_step_apart_with_nothing_else_to_wake_it(
    redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_app(Settings())
    taken: list[float] = []
    loop = Hub()
    poll = loop.poller.poll

    def without_other_timers(seconds: float) -> Any:  # kombu's own are of a second and more
        return poll(seconds if seconds < 0.1 else PATIENCE_SECONDS)

    monkeypatch.setattr(loop.poller, "poll", without_other_timers)
    set_event_loop(loop)
    try:
        with Connection(redis_url) as connection:
            channel = connection.channel()
            channel.basic_qos(0, 6, False)
            queue = Queue(QUEUE, channel=channel)
            queue.declare()
            for _ in range(4):
                channel.basic_publish(
                    channel.prepare_message("x", None, "text/plain", "utf-8"),
                    exchange="", routing_key=QUEUE,
                )  # fmt: skip
            connection.register_with_event_loop(loop)
            queue.consume(callback=lambda message: taken.append(time.monotonic()), no_ack=False)
            running = loop.create_loop()
            ends = time.monotonic() + PATIENCE_SECONDS
            while len(taken) < 4 and time.monotonic() < ends:
                next(running)
            idle_until = channel.qos._ramp._began
    finally:
        set_event_loop(None)
        loop.close()
    assert len(taken) == 4
    # The callback of the first may be late.
    for number, at in enumerate(taken):
        assert at - idle_until >= number * STEP_SECONDS

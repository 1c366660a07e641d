"""All channels of a process share a few connections, and each is named in `CLIENT LIST`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kombu.connection import Connection
from redis import Redis

from config.settings import Settings
from tasks.broker import make_app
from tasks.connections import MESSAGES, MOST_MESSAGES, MOST_STATE, STATE
from tasks.redis_address import RedisAddress
from tasks.services import open_redis

QUEUE = "connections"


def send(channel: Any) -> None:
    channel.basic_publish(
        channel.prepare_message("x", content_type="text/plain", content_encoding="utf-8"),
        exchange="", routing_key=QUEUE,
    )  # fmt: skip


def named(redis: Redis) -> dict[str, set[str]]:
    """The connections that have each of our names; those of earlier tests may end at any time."""
    listed: list[dict[str, Any]] = redis.client_list()
    return {
        name: {str(client["id"]) for client in listed if client["name"] == name}
        for name in (MESSAGES, STATE)
    }


def test_channels_in_many_threads_share_a_few_connections(redis_url: str, redis: Redis) -> None:
    make_app(Settings())
    before = named(redis)

    def use(_: int) -> None:
        with Connection(redis_url) as connection:
            channel = connection.channel()
            for _ in range(20):
                send(channel)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(16)))
    assert len(named(redis)[MESSAGES] - before[MESSAGES]) <= MOST_MESSAGES


def test_a_channel_that_closes_leaves_the_others_their_connections(
    redis_url: str, redis: Redis
) -> None:
    make_app(Settings())
    with Connection(redis_url) as one, Connection(redis_url) as other:
        first, second = one.channel(), other.channel()
        send(first)
        send(second)
        shared = named(redis)[MESSAGES]
        assert first.pool is second.pool
        first.close()
        send(second)
        assert named(redis)[MESSAGES] == shared


def test_a_worker_s_state_waits_for_one_of_its_connections(redis_url: str, redis: Redis) -> None:
    before = named(redis)[STATE]
    address = RedisAddress.parse(redis_url)
    with (
        open_redis(address, most_connections=MOST_STATE) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        assert all(threads.map(lambda _: client.ping(), range(200)))
        assert 0 < len(named(redis)[STATE] - before) <= MOST_STATE

"""Changes of jobs are heard, also after a connection was lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from structlog.testing import capture_logs

from orchestrator.cluster import hints
from orchestrator.cluster.hints import Hints
from tasks.state.receipts import CHANGED
from tests.eventually import eventually


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.looks = 0

    def changed(self, tenant: str, job: str) -> None:
        self.heard.append((tenant, job))

    def look(self) -> None:
        self.looks += 1


@contextmanager
def listening(redis: Redis) -> Iterator[Listener]:
    listener = Listener()
    opened = Hints(redis, listener.changed, listener.look)
    opened.start()
    try:
        yield listener
    finally:
        opened.stop()
        assert not opened._thread.is_alive()


def test_what_is_published_is_heard(redis: Redis) -> None:
    with listening(redis) as listener:
        assert eventually(lambda: redis.publish(CHANGED, "tenant/job-1") == 1)
        assert eventually(lambda: listener.heard == [("tenant", "job-1")])


def test_now_and_then_it_is_time_to_look(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(hints, "LISTEN_SECONDS", 0.01)
    with listening(redis) as listener:
        assert eventually(lambda: listener.looks > 3)


def test_a_connection_that_is_cut_is_made_again(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "AGAIN_SECONDS", 0.05)
    with listening(redis) as listener:
        assert eventually(lambda: redis.publish(CHANGED, "a/1") == 1)
        redis.client_kill_filter(_type="pubsub")
        assert eventually(lambda: redis.publish(CHANGED, "a/2") == 1)
        assert eventually(lambda: ("a", "2") in listener.heard)


def test_a_redis_that_is_away_is_tried_again_and_reported_once(
    no_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "AGAIN_SECONDS", 0.01)
    tries = []
    pubsub = no_redis.pubsub

    def counted(**options: bool) -> object:
        tries.append(options)
        return pubsub(**options)

    monkeypatch.setattr(no_redis, "pubsub", counted)
    with capture_logs() as lines, listening(no_redis) as listener:
        assert eventually(lambda: len(tries) > 3)
    assert listener.looks == 0
    assert [line["event"] for line in lines] == ["hints_wait"]

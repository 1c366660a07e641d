"""Results are counted for chords, and no process listens for them."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery, chord
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from tasks.broker import make_app
from tasks.chord_counts import ChordCounts, address_of


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("redis://:x@host:6379/0", "redis://:x@host:6379/0"),
        (
            "redis+socket:///run/redis.sock?virtual_host=0",
            "socket:///run/redis.sock?virtual_host=0",
        ),
    ],
)
def test_celery_finds_it_for_every_address(url: str, rest: str) -> None:
    app = Celery(broker="memory://", set_as_current=False)
    app.backend_cls = address_of(url)
    assert isinstance(app.backend, ChordCounts)
    assert app.backend.url == rest


def test_messages_are_sent_without_a_subscription_and_the_chord_is_counted(
    redis: Redis, redis_url: str
) -> None:
    app = make_app(Settings(redis_url=SecretStr(redis_url)))
    before = redis.pubsub_channels("celery-task-meta-*")  # of other tests of this process
    with app:
        tasks: list[Any] = [
            app.signature("unit", queue="transcribe.bulk", ignore_result=True) for _ in range(3)
        ]
        chord(tasks, app.signature("end", queue="assemble.bulk"), app=app).apply_async()
        assert redis.pubsub_channels("celery-task-meta-*") == before
        assert len(redis.keys("celery-taskset-meta-*.s")) == 1
    assert redis.keys("celery-task-meta-*") == []

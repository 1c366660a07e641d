"""Celery's results in Redis, of which a worker only needs the counts of chords.

Celery lets a process that sends a message listen for its result: a connection for each thread, a
subscription for each message, and a list of results that no thread asks for. Here none listens.
"""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend
from redis import BlockingConnectionPool

from tasks.connections import MOST_RESULTS, PATIENCE_SECONDS, RESULTS


class ChordCounts(RedisBackend):
    """Results in Redis that are written and counted, and for which this process does not wait."""

    def _get_pool(self, **parameters: Any) -> BlockingConnectionPool:
        named = {**parameters, "client_name": RESULTS, "max_connections": MOST_RESULTS}
        return BlockingConnectionPool(timeout=PATIENCE_SECONDS, **named)  # type: ignore[no-untyped-call]

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Send a message without listening for its result."""

    def add_pending_result(self, result: Any, *_: Any, **__: Any) -> Any:
        """Return the result, and expect nothing."""
        return result

    def remove_pending_result(self, result: Any) -> Any:
        """Return the result: nothing was expected."""
        return result


def address_of(url: str) -> str:
    """Return the address by which Celery finds `ChordCounts`, for the URL of a Redis."""
    return f"{__name__}:{ChordCounts.__name__}+{url.removeprefix('redis+')}"

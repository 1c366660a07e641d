"""Listen to Redis for the names of jobs that have changed, in the caller's thread or an own one.

A hint may be lost with a connection, so a listener also looks at its jobs itself every 2 s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError

from tasks.state.receipts import CHANGED

LOOK_SECONDS = 2.0  # between two looks of a listener at its jobs
LISTEN_SECONDS = 0.25  # how long the thread waits before it checks whether it must end
AGAIN_SECONDS = 1.0  # pause before the next try, while Redis is away
log = structlog.get_logger(__name__)


@contextmanager
def hinted(redis: Redis) -> Iterator[Callable[[float], tuple[str, str] | None]]:
    """Hear the hints during the block; yields what waits for the next one.

    It takes the most seconds to wait, and returns the tenant and the job, or None if no job has
    changed meanwhile. Both raise RedisError.
    """
    pubsub: PubSub = redis.pubsub(  # type: ignore[no-untyped-call]
        ignore_subscribe_messages=True
    )

    def hint(seconds: float) -> tuple[str, str] | None:
        message = pubsub.get_message(timeout=seconds)
        if message is None:
            return None
        tenant, _, job = message["data"].decode().partition("/")
        return tenant, job

    with pubsub:
        pubsub.subscribe(CHANGED)
        yield hint


class Hints:
    """Calls `changed` with a tenant and a job, and `look` every 2 s, both on its own thread."""

    def __init__(
        self, redis: Redis, changed: Callable[[str, str], None], look: Callable[[], None]
    ) -> None:
        self._redis = redis
        self._changed = changed
        self._look = look
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for its end."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        is_warned = False
        while not self._stopping.is_set():
            try:
                with hinted(self._redis) as hint:
                    is_warned = False
                    self._hear(hint)
            except RedisError as error:
                if not is_warned:  # logged once in an outage, not at every try
                    log.warning("hints_wait", reason=str(error))
                is_warned = True
                self._stopping.wait(AGAIN_SECONDS)

    def _hear(self, hint: Callable[[float], tuple[str, str] | None]) -> None:
        looked = float("-inf")  # so that `look` is called at once: jobs may have changed before
        while not self._stopping.is_set():
            if time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                self._look()
            found = hint(LISTEN_SECONDS)
            if found is not None:
                self._changed(*found)

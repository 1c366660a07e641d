"""Listen to Redis, on a thread of its own, for the names of jobs that have changed.

A hint may be lost with a connection, so the listener is also told every 2 s to look at its
jobs itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError

from tasks.state.receipts import CHANGED

LOOK_SECONDS = 2.0  # between two calls of `look`
LISTEN_SECONDS = 0.25  # how long the thread waits before it checks whether it must end
AGAIN_SECONDS = 1.0  # pause before the next try, while Redis is away
log = structlog.get_logger(__name__)


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
                pubsub: PubSub = self._redis.pubsub(  # type: ignore[no-untyped-call]
                    ignore_subscribe_messages=True
                )
                with pubsub:
                    pubsub.subscribe(CHANGED)
                    is_warned = False
                    self._hear(pubsub)
            except RedisError as error:
                if not is_warned:  # logged once in an outage, not at every try
                    log.warning("hints_wait", reason=str(error))
                is_warned = True
                self._stopping.wait(AGAIN_SECONDS)

    def _hear(self, pubsub: PubSub) -> None:
        looked = float("-inf")  # so that `look` is called at once: jobs may have changed before
        while not self._stopping.is_set():
            if time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                self._look()
            message = pubsub.get_message(timeout=LISTEN_SECONDS)
            if message is not None:
                tenant, _, job = message["data"].decode().partition("/")
                self._changed(tenant, job)

"""Which of several reconcilers on one Redis works: the one that holds a lock there.

The lock is redis-py's: a key with a random value that expires. Earlier versions of the reconciler
wrote the same key in the same way by themselves, so old and new processes respect each other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import structlog
from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

KEY = "scriptorium:reconciler"
PASSES = 5  # pauses between passes that the lock outlives, so that a short outage changes nothing
LEAST_SECONDS = 5.0  # the lock lives for longer than those pauses
HUNG_SECONDS = 120.0  # a pass that takes no step for so long is not worth to be waited for
JOIN_SECONDS = 5.0
Item = TypeVar("Item")
log = structlog.get_logger(__name__)


class LeadLost(Exception):
    """Another reconciler may lead by now; this one has to leave its work."""


class Leading:
    """The lead of one reconciler. Every method may be called by any of its threads.

    A thread renews the lock while the loop takes steps, so a long pass keeps it. A loop that hangs
    loses it after HUNG_SECONDS and the lock's time, and another reconciler takes over.
    """

    def __init__(
        self, redis: Redis, pause_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = pause_seconds * PASSES + LEAST_SECONDS
        self._lock = Lock(redis, KEY, timeout=self._seconds, thread_local=False)
        self._clock = clock
        self._turn = threading.Lock()  # of calls that change who holds the lock
        self._held_until = float("-inf")  # by our clock, and not later than Redis lets it expire
        self._stepped_at = float("-inf")

    @property
    def is_held(self) -> bool:
        """Whether this process leads, as far as it knows without asking Redis."""
        return self._clock() < self._held_until

    def take(self) -> bool:
        """Renew the lock, or take it if it is free. Return whether this process leads.

        Raises redis.RedisError.
        """
        self.step()
        with self._turn:
            if self._renew():
                return True
            began = self._clock()
            if not self._lock.acquire(blocking=False):
                return False
            self._held_until = began + self._seconds
        log.info("lead_taken")
        return True

    def confirm(self) -> None:
        """Renew the lock now. Raises LeadLost if it was lost, or redis.RedisError."""
        with self._turn:
            if not self._renew():
                raise LeadLost

    def while_held(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items. Raises LeadLost before the next one if the lead was lost."""
        for item in items:
            if not self.is_held:
                raise LeadLost
            yield item

    def step(self) -> None:
        """Take note that the loop does not hang."""
        self._stepped_at = self._clock()

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew the lock in a thread; at the end release it, so that another leads at once."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over,), name="leading", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            self.release()
            thread.join(JOIN_SECONDS)

    def release(self) -> None:
        """Let the lock go, if this process has it. Without Redis it expires."""
        with self._turn:
            if self.is_held:
                self._held_until = float("-inf")
                with suppress(RedisError):
                    self._lock.release()

    def _keep(self, over: threading.Event) -> None:
        while not over.wait(self._seconds / 3):
            with self._turn, suppress(RedisError):  # the next try may succeed in time
                if self.is_held and self._clock() - self._stepped_at < HUNG_SECONDS:
                    self._renew()

    def _renew(self) -> bool:
        began = self._clock()
        try:
            self._lock.reacquire()
        except LockError:  # it expired, Redis was wiped, or it was never ours
            if self._held_until > float("-inf"):
                log.info("lead_lost")
            self._held_until = float("-inf")
            return False
        self._held_until = began + self._seconds
        return True

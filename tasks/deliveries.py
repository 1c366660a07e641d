"""Keep a worker able to take messages from Redis when Redis refuses to forget those that are done.

A worker takes as many messages at once as it has slots. kombu frees a slot only after Redis has
deleted the message. While Redis refuses writes (a demoted master, a full memory, a failed save)
the deletion raises, the slot is never freed, and the worker takes nothing again while its
heartbeat goes on. `Deliveries` frees the slot all the same and deletes the message with the next
one. `tasks/delivery_watch.py` ends a worker that has lost a slot in another way.

It also lets a worker that was idle take its messages in turn with the others (`tasks/ramp.py`),
and keeps one of its slots for other tenants than the one that has the rest.
"""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

import structlog
from kombu.asynchronous import get_event_loop
from kombu.transport import redis as transport
from redis.exceptions import RedisError

from tasks import fair_queue
from tasks.ramp import Ramp

log = structlog.get_logger(__name__)


class Deliveries(transport.QoS):
    """kombu's record of the messages that one consumer holds, which frees every slot."""

    _undeleted: ClassVar[set[str]] = set()  # tags of messages, of all consumers of this process
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._ramp = Ramp()

    def can_consume(self) -> bool:
        """Tell whether the consumer asks Redis for a message now."""
        if not super().can_consume():  # type: ignore[no-untyped-call]
            return False
        # Without a loop that a timer could wake, there is no ramp.
        return self._wait() == 0 or get_event_loop() is None

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record a message that was taken; delete those that could not be deleted before."""
        super().append(message, delivery_tag)  # type: ignore[no-untyped-call]
        self._delete_again()
        self._look_later()

    def tenant_at_limit(self) -> str | None:
        """Return the tenant of whom no message may be taken now, if there is one."""
        held = [
            fair_queue.Share.of(message.headers or {}).tenant
            for tag, message in tuple(self._delivered.items())  # threads ask too, by `ack`
            if tag not in self._dirty
        ]
        return fair_queue.tenant_at_limit(held, self.prefetch_count)

    def _look_later(self) -> None:
        wait, loop = self._wait(), get_event_loop()
        if wait > 0 and loop is not None:
            loop.call_later(wait, _look_again)  # type: ignore[no-untyped-call]

    def _wait(self) -> float:
        return self._ramp.wait(len(self._delivered) - len(self._dirty), time.monotonic())

    def ack(self, delivery_tag: str) -> None:
        """Delete a message that is done, and free its slot, also if Redis refuses."""
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            self._free(delivery_tag, error)
        self.channel.slot_is_free()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Delete or return a message, and free its slot, also if Redis refuses.

        A message that was to be returned stays in Redis until the visibility timeout; the
        reconciler issues its unit before.
        """
        try:
            super().reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            self._free(delivery_tag, error)
        self.channel.slot_is_free()

    def hand_back(self) -> None:
        """Put back what is held, in front of its tenants' lists. May raise redis.RedisError."""
        for tag in tuple(self._delivered):
            if tag not in self._dirty:
                self.restore_by_tag(tag)  # type: ignore[no-untyped-call]

    def _free(self, delivery_tag: str, error: Exception) -> None:
        log.warning("message_not_deleted", reason=str(error))
        with self._lock:
            self._undeleted.add(delivery_tag)
        self._quick_ack(delivery_tag)

    def _delete_again(self) -> None:
        with self._lock:
            tags = list(self._undeleted)
            self._undeleted.clear()
        try:
            for tag in tags:
                self._remove_from_indices(tag).execute()  # type: ignore[no-untyped-call]
        except (RedisError, OSError):  # with the next message
            with self._lock:
                self._undeleted.update(tags)


def _look_again() -> None:
    """Do nothing: a loop that a timer has woken asks `can_consume` again.

    The timer is set while the loop handles a message: one set when it is about to sleep comes too
    late for that sleep.
    """

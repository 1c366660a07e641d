"""Derive which messages still wait in RabbitMQ, which shows only the first of each queue.

A classic queue delivers messages in the order in which they were sent. So a unit's message
may still wait while the queue's first message was sent before it. Once the first message was
sent later, or the queue is empty, the unit's message was taken or lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from celery import Celery
from kombu.exceptions import OperationalError

from orchestrator.cluster.turns import has_turn_to_come, lanes_of
from tasks.broker import SENT_AT, BrokerUnavailable
from tasks.runs.records import Records
from tasks.runs.stages import HEADER_STAGES, Lane, Stage, queues
from tasks.runs.units import Unit

FORGET_SECONDS = 3600.0  # longer than most units take; then an entry is removed and made anew
T = TypeVar("T")


@dataclass(slots=True)
class _Wait:
    """A unit without a worker. `sent_by`: its message, if any, was sent no later than this."""

    sent_by: float
    asked_at: float = 0.0
    is_bulk: bool | None = None  # None: not looked up yet


class AmqpQueues:
    """Asks the server, on connections of the Celery application's pool."""

    def __init__(
        self, celery: Celery, records: Records, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._celery = celery
        self._records = records
        self._clock = clock
        self._waits: dict[Unit, _Wait] = {}

    def queued(self, suspects: Collection[Unit]) -> set[Unit]:
        """Return those of the suspects whose message may still be in its queue."""
        firsts, now = self._first_sent(), self._clock()
        found = {unit for unit in suspects if self._may_wait(unit, firsts, now)}
        self._waits = {
            unit: wait for unit, wait in self._waits.items() if now - wait.asked_at < FORGET_SECONDS
        }
        return found

    def expect(self, units: Iterable[Unit]) -> None:
        """Take note of the time for the units that are new."""
        now = self._clock()
        for unit in units:
            self._waits.setdefault(unit, _Wait(sent_by=now, asked_at=now))

    def issued(self, unit: Unit) -> None:
        """Forget the old send time; the unit now waits by its new message."""
        self._waits.pop(unit, None)

    def unread(self) -> dict[str, float]:
        """Return every queue that is not empty: none can be read."""
        return self._first_sent()

    def lengths(self) -> dict[str, int]:
        """Return the messages that no worker has taken, by queue.

        Declares the queues, because no worker may have done so yet.
        """

        def count(channel: Any) -> dict[str, int]:
            return {
                name: self._celery.amqp.queues[name].bind(channel).queue_declare().message_count
                for name in queues()
            }

        return self._ask(count)

    def ages(self, now: float) -> dict[str, float]:
        """Return ages in seconds, by the send time of each queue's first message."""
        return {
            name: max(0.0, now - sent_at) for name, sent_at in self._first_sent().items() if sent_at
        }

    def _may_wait(self, unit: Unit, firsts: Mapping[str, float], now: float) -> bool:
        if unit.stage in HEADER_STAGES:
            fan_out = replace(unit, stage=Stage.FAN_OUT, index=0)
            if self._may_wait(fan_out, firsts, now):
                self._waits[unit] = _Wait(sent_by=now, asked_at=now)  # sent after fan_out
                return True
        wait = self._waits.setdefault(unit, _Wait(sent_by=now))
        wait.asked_at = now

        def may_be_in(lane: Lane) -> bool:
            first = firsts.get(unit.stage.queue(lane))
            return first is not None and has_turn_to_come(first, wait.sent_by, now)

        if may_be_in(Lane.INTERACTIVE):
            return True
        if not may_be_in(Lane.BULK):
            return False
        if wait.is_bulk is None:  # looked up once: a long queue has many records
            wait.is_bulk = Lane.BULK in lanes_of(self._records, unit)
        return wait.is_bulk

    def _first_sent(self) -> dict[str, float]:
        """Return each queue's first send time in seconds since 1970 (0: the message has none)."""

        def look(channel: Any) -> dict[str, float]:
            found = {}
            for name in queues():
                self._celery.amqp.queues[name].bind(channel).queue_declare()
                message = channel.basic_get(name)
                if message is not None:
                    channel.basic_reject(message.delivery_tag, requeue=True)  # back to its place
                    found[name] = float((message.headers or {}).get(SENT_AT, 0.0))
            return found

        return self._ask(look)

    def _ask(self, question: Callable[[Any], T]) -> T:
        """Call the question with a channel; reconnect once if the connection was lost.

        Raises BrokerUnavailable.
        """
        with self._celery.pool.acquire(block=True) as cluster:
            faults = (OperationalError, *cluster.connection_errors, *cluster.channel_errors)
            try:
                answer: T = cluster.autoretry(question, max_retries=1)()[0]
            except faults as error:
                url = cluster.as_uri()  # as_uri hides the password
                raise BrokerUnavailable(f"{url} does not answer: {error}") from error
        return answer

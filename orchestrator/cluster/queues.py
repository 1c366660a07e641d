"""Which units wait as messages in the broker's queues, behind one interface for two brokers.

Redis' messages can be read in place. RabbitMQ's cannot; `rabbitmq.py` derives the answer from
send times. A message that a worker has taken is in no queue; the unit's lease shows that one
works on it.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Collection, Iterable, Iterator, Set
from typing import Any, Protocol

from redis import Redis

from orchestrator.cluster.unreadable import FAULTS, note
from tasks.broker import SENT_AT
from tasks.runs.stages import HEADER_STAGES, Stage, queues
from tasks.runs.units import Run, Unit

PAGE = 1000  # messages that one request reads
_STAGES = {stage.task_name: stage for stage in Stage}


class Queues(Protocol):
    """The queues of one broker. Methods may raise redis.RedisError or BrokerUnavailable."""

    def queued(self, suspects: Collection[Unit]) -> set[Unit]:
        """Return those of the suspects that a waiting message may still start.

        A fan_out's message starts the run's chunks and shards.
        """

    def issued(self, unit: Unit) -> None:
        """Record that a message for the unit was sent again."""

    def lengths(self) -> dict[str, int]:
        """Return the number of messages that wait in each queue."""

    def ages(self, now: float) -> dict[str, float]:
        """Return the seconds that the first message of each non-empty queue has waited."""


class RedisQueues:
    """Reads the list that kombu's Redis transport keeps for each queue."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def queued(self, suspects: Collection[Unit]) -> set[Unit]:
        """Return those of the suspects that a waiting message asks for."""
        return set(suspects).difference(lost(suspects, queued_units(self._redis)))

    def issued(self, unit: Unit) -> None:
        """Do nothing: the new message is visible in the Redis list."""

    def lengths(self) -> dict[str, int]:
        """Return the length of each queue's list."""
        lengths: dict[str, Any] = {queue: self._redis.llen(queue) for queue in queues()}
        return lengths

    def ages(self, now: float) -> dict[str, float]:
        """Return ages by the send time of each list's last message: workers take from the tail."""
        pipe = self._redis.pipeline(transaction=False)
        for queue in queues():
            pipe.lindex(queue, -1)
        ages = {}
        for queue, message in zip(queues(), pipe.execute(), strict=True):
            sent_at = _sent_at(message) if message else None
            if sent_at is not None:
                ages[queue] = max(0.0, now - sent_at)
        return ages


def _sent_at(message: bytes) -> float | None:
    """Return when a message was sent, in seconds since 1970; None: it does not say."""
    try:
        found = json.loads(message)["headers"].get(SENT_AT)
        return None if found is None else float(found)
    except FAULTS as error:
        note("a message in a queue", error)
        return None


def queued_units(redis: Redis) -> set[Unit]:
    """Return every unit that a message in Redis asks for."""
    return {unit for queue in queues() for unit in _units(redis, queue)}


def _units(redis: Redis, queue: str) -> Iterator[Unit]:
    # From the tail, where workers take: messages taken meanwhile cannot hide one not yet read.
    end = -1
    while True:
        page: Any = redis.lrange(queue, end - PAGE + 1, end)
        for message in page:
            unit = read_unit(message)
            if unit is not None:
                yield unit
        if len(page) < PAGE:
            return
        end -= PAGE


def read_unit(message: bytes) -> Unit | None:
    """Return the unit that a message asks for; None if it is no message for a stage of ours."""
    try:
        envelope = json.loads(message)
        stage = _STAGES.get(envelope["headers"]["task"])
        if stage is None:
            return None
        _, arguments, _ = json.loads(b64decode(envelope["body"]))
        run = Run(arguments["tenant"], arguments["job"], arguments["run"])
        return run.unit(stage, arguments.get("index", 0))
    except FAULTS as error:
        note("a message in a queue", error)
        return None


def lost(suspects: Iterable[Unit], queued: Set[Unit]) -> tuple[Unit, ...]:
    """Return the suspects that no queued message asks for.

    What is still to be fanned out is not lost: its message is not written yet.
    """
    return tuple(
        unit
        for unit in suspects
        if unit not in queued
        and not (unit.stage in HEADER_STAGES and unit.run.unit(Stage.FAN_OUT) in queued)
    )

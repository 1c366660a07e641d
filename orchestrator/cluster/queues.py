"""What waits in the queues: the units that messages ask for, behind one interface.

Redis' messages can be read where they lie. RabbitMQ's cannot; what is known of them all the
same is in `rabbitmq.py`. Messages that a worker has taken are in no queue; leases say what
becomes of those.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Collection, Iterable, Iterator, Set
from typing import Any, Protocol

from redis import Redis

from tasks.broker import SENT_AT
from tasks.runs.stages import HEADER_STAGES, Stage, queues
from tasks.runs.units import Run, Unit

PAGE = 1000  # messages read at once
_STAGES = {stage.task_name: stage for stage in Stage}


class Queues(Protocol):
    """The queues of one broker. May raise redis.RedisError or BrokerUnavailable."""

    def queued(self, suspects: Collection[Unit]) -> set[Unit]:
        """Those of the suspects that a waiting message may still bring about.

        A fan-out's message brings about the run's chunks and shards.
        """

    def issued(self, unit: Unit) -> None:
        """Take note that a message for the unit was sent again."""

    def lengths(self) -> dict[str, int]:
        """Messages waiting in each queue."""

    def ages(self, now: float) -> dict[str, float]:
        """How many seconds the first message of each queue has waited, where one waits."""


class RedisQueues:
    """Reads the list that kombu's Redis transport keeps for each queue."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def queued(self, suspects: Collection[Unit]) -> set[Unit]:
        """Those of the suspects that a waiting message asks for."""
        return set(suspects).difference(lost(suspects, queued_units(self._redis)))

    def issued(self, unit: Unit) -> None:
        """Nothing: the message will be seen."""

    def lengths(self) -> dict[str, int]:
        """The lists' lengths."""
        lengths: dict[str, Any] = {queue: self._redis.llen(queue) for queue in queues()}
        return lengths

    def ages(self, now: float) -> dict[str, float]:
        """By the stamp of each list's last message: workers take from the tail."""
        pipe = self._redis.pipeline(transaction=False)
        for queue in queues():
            pipe.lindex(queue, -1)
        ages = {}
        for queue, message in zip(queues(), pipe.execute(), strict=True):
            sent_at = json.loads(message)["headers"].get(SENT_AT) if message else None
            if sent_at is not None:
                ages[queue] = max(0.0, now - sent_at)
        return ages


def queued_units(redis: Redis) -> set[Unit]:
    """Every unit that a message in Redis waits for."""
    return {unit for queue in queues() for unit in _units(redis, queue)}


def _units(redis: Redis, queue: str) -> Iterator[Unit]:
    # From the tail, where workers take: what is taken meanwhile shifts nothing we have not seen.
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
    """The unit that one message asks for; None if it is not one of ours."""
    envelope = json.loads(message)
    stage = _STAGES.get(envelope["headers"]["task"])
    if stage is None:
        return None
    _, arguments, _ = json.loads(b64decode(envelope["body"]))
    run = Run(arguments["tenant"], arguments["job"], arguments["run"])
    return run.unit(stage, arguments.get("index", 0))


def lost(suspects: Iterable[Unit], queued: Set[Unit]) -> tuple[Unit, ...]:
    """The suspects that no message will bring about.

    What is still to be fanned out is not lost: its message is not written yet.
    """
    return tuple(
        unit
        for unit in suspects
        if unit not in queued
        and not (unit.stage in HEADER_STAGES and unit.run.unit(Stage.FAN_OUT) in queued)
    )

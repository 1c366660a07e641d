"""What waits in the queues: the units that messages in Redis ask for.

Reads the list that kombu's Redis transport keeps for each queue. Messages that a
worker has taken are not in it; leases say what becomes of those.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from redis import Redis

from tasks.broker import SENT_AT
from tasks.stages import Stage, Unit, queues

PAGE = 1000  # messages read at once
_STAGES = {stage.task_name: stage for stage in Stage}


def queued_units(redis: Redis) -> set[Unit]:
    """Every unit that a message waits for."""
    return {unit for queue in queues() for unit in _units(redis, queue)}


def queue_lengths(redis: Redis) -> dict[str, int]:
    """Messages waiting in each queue."""
    lengths: dict[str, Any] = {queue: redis.llen(queue) for queue in queues()}
    return lengths


def queue_ages(redis: Redis, now: float) -> dict[str, float]:
    """How many seconds the first message of each queue has waited, where one waits."""
    pipe = redis.pipeline(transaction=False)
    for queue in queues():
        pipe.lindex(queue, -1)  # workers take from the tail
    ages = {}
    for queue, message in zip(queues(), pipe.execute(), strict=True):
        sent_at = json.loads(message)["headers"].get(SENT_AT) if message else None
        if sent_at is not None:
            ages[queue] = max(0.0, now - sent_at)
    return ages


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
    return Unit(
        arguments["tenant"],
        arguments["job"],
        arguments["run"],
        stage,
        arguments.get("index", 0),
    )

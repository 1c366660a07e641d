"""Which workers there are: each tells of itself in Redis every few seconds.

It is a hint for metrics and alerts. After a wipe, or an outage of Redis, it is whole again within
those seconds. Times are seconds since 1970 by the clock of Redis: a worker whose own clock is wrong
by half a minute would be dead to the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from redis import Redis

_WORKERS = "scriptorium:workers"  # a hash: what each worker told last, by its name
_CARD = "scriptorium:card:"  # with a GPU's UUID, a sorted set: when its users were busy last
TELL_SECONDS = 5.0
GONE_SECONDS = 30.0  # a worker that has told nothing for so long is dead, or cut off
BUSY_SECONDS = 2 * TELL_SECONDS  # after so long without a word a user of a card is not busy


class State(StrEnum):
    """What a worker does just now."""

    IDLE = "idle"
    BUSY = "busy"  # with one unit or more
    STOPPING = "stopping"  # it takes no more units, and ends when those in work are done


@dataclass(frozen=True, slots=True)
class Presence:
    """What a worker tells of itself."""

    pool: str
    state: State
    device: str  # that its models compute on: cuda or cpu
    told_at: float


class Presences:
    """All workers of a cluster. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def now(self) -> float:
        """Return the time by the clock of Redis."""
        told: Any = self._redis.time()
        return float(told[0] + told[1] / 1e6)

    def tell(self, name: str, presence: Presence) -> None:
        """Replace what a worker told before."""
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hset(_WORKERS, name, json.dumps(asdict(presence)))
            pipeline.expire(_WORKERS, int(GONE_SECONDS))  # without workers nothing stays
            pipeline.execute()

    def forget(self, name: str) -> None:
        """Take a worker out that ends."""
        self._redis.hdel(_WORKERS, name)

    def read(self, now: float) -> dict[str, Presence]:
        """Return the workers that are there, by name; remove those that have died."""
        raw: Any = self._redis.hgetall(_WORKERS)
        told = {name: _presence(text) for name, text in raw.items()}
        gone = [
            name for name, one in told.items() if one is None or now - one.told_at > GONE_SECONDS
        ]
        if gone:
            self._redis.hdel(_WORKERS, *gone)
        return {
            name.decode("utf-8", "replace"): one
            for name, one in told.items()
            if one is not None and name not in gone
        }

    def users(self, card: str, name: str, now: float, *, is_busy: bool) -> int:
        """Note whether a worker is busy on a card; return how many are, this one counted always."""
        key = _CARD + card
        with self._redis.pipeline(transaction=False) as pipeline:
            if is_busy:
                pipeline.zadd(key, {name: now})
                pipeline.expire(key, int(GONE_SECONDS))
            else:
                pipeline.zrem(key, name)
            pipeline.zcount(key, now - BUSY_SECONDS, "+inf")
            count = int(pipeline.execute()[-1])
        return count if is_busy else count + 1


def _presence(text: bytes) -> Presence | None:
    """Return what was told; None for what another version may have written."""
    with suppress(ValueError, KeyError, TypeError):
        fields: Mapping[str, Any] = json.loads(text)
        return Presence(
            pool=str(fields["pool"]),
            state=State(fields["state"]),
            device=str(fields["device"]),
            told_at=float(fields["told_at"]),
        )
    return None

"""The outbox: ended runs that still owe a delivery (a webhook, or files in a bucket).

Each entry is an artifact. Its due time is in Redis, by Redis's clock, and is only a hint:
after a wipe everything is due at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from redis import Redis

from orchestrator.cluster.unreadable import parsed_runs
from tasks.artifacts import ArtifactStore, encode
from tasks.runs import keys
from tasks.runs.units import Run

DUE = "scriptorium:outbox"
DUE_ROUNDS = "scriptorium:outbox:collections"
OUTBOXES = (DUE, DUE_ROUNDS)
_NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""
# A taken entry becomes due again after a while, in case the courier that took it dies.
_TAKE = f"""{_NOW}
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, name in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[2], name) end
return due
"""
_DEFER = f"""{_NOW}
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], ARGV[1], now + ARGV[2], ARGV[i]) end
"""


class Outbox:
    """Entries and due times. Methods may raise redis.RedisError and the store's errors."""

    def __init__(
        self, store: ArtifactStore, redis: Redis, folder: str = keys.OUTBOX, due: str = DUE
    ) -> None:
        """Keep entries in a folder of the store, and their due times under a name in Redis."""
        self._folder = folder
        self._due = due
        self._store = store
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._defer = redis.register_script(_DEFER)

    def add(self, run: Run) -> None:
        """Add a run that has ended just now; it is due at once."""
        self.put(run)
        self.make_due(run)

    def put(self, run: Run) -> None:
        """Keep the entry of a run that has ended just now, which is not due yet."""
        self._store.put(self._folder + run.name, encode({"ended_at": round(time.time(), 3)}))

    def make_due(self, run: Run) -> None:
        """Let a run that was put be delivered, unless it has a due time already."""
        self._set("NX", [run], 0.0)

    def take(self, limit: int, seconds: float) -> list[Run]:
        """Return at most `limit` due runs; they become due for others after `seconds`."""
        found: Any = self._take(keys=[self._due], args=[limit, seconds])
        return list(parsed_runs(name.decode("utf-8", "replace") for name in found))

    def keep(self, runs: Iterable[Run], seconds: float) -> None:
        """Keep runs that were taken: set their due times to `seconds` from now."""
        self._set("XX", runs, seconds)

    def postpone(self, run: Run, seconds: float) -> None:
        """Give a run back, due `seconds` from now."""
        self._set("CH", [run], seconds)

    def remove(self, run: Run) -> None:
        """Remove a run that owes no more deliveries.

        The due time goes first: an entry that is added in between keeps a due time of its own.
        """
        self._redis.zrem(self._due, run.name)
        self._store.delete(self._folder + run.name)

    def restore(self) -> None:
        """Make the entries due that Redis has lost."""
        self._set("NX", parsed_runs(self._store.list(self._folder), self._folder), 0.0)

    def _set(self, condition: str, runs: Iterable[Run], seconds: float) -> None:
        names = [run.name for run in runs]
        if names:
            self._defer(keys=[self._due], args=[condition, seconds, *names])

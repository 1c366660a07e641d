"""Which tries of a unit were begun and not ended: they find the chunks that kill workers.

Each try has a token in Redis while it runs, and its process takes the token back when it has
survived the try. So what stays are tries whose process died. A try is never counted as a death
because Redis was away: the process takes the token back as soon as Redis answers again.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError

from tasks.runs.units import Unit

_BEGUN = "scriptorium:begun:"
_CRASHED = "scriptorium:crashed:"
_KEEP_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Deaths:
    """What is known of a unit and its run before a try."""

    of_unit: int  # tries whose process died
    units_of_run: int  # units of its run that were given up because of their deaths


def counted(unit: Unit) -> tuple[str, str]:
    """Return the names in Redis of a unit's tries, and of the units of its run that crashed."""
    return _BEGUN + unit.name, _CRASHED + unit.run.name


class Attempts:
    """The tokens of tries, in Redis; a wipe only grants the unit more tries.

    Any number of threads may use one object.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._running: dict[str, Unit] = {}  # by token: tries of this process
        self._owed: dict[str, Unit] = {}  # survived, but Redis has their tokens still
        self._lock = threading.Lock()

    def deaths(self, unit: Unit) -> Deaths:
        """Return how often a process died of the unit. Raises redis.RedisError."""
        self.take_back()
        pipe = self._redis.pipeline(transaction=False)
        for key in counted(unit):
            pipe.scard(key)
        return Deaths(*pipe.execute())

    def begin(self, unit: Unit) -> str:
        """Begin a try; return its token. Raises redis.RedisError."""
        token, key = uuid4().hex, _BEGUN + unit.name
        pipe = self._redis.pipeline()
        pipe.sadd(key, token)
        pipe.expire(key, _KEEP_SECONDS)
        with self._lock:
            self._running[token] = unit
        try:
            pipe.execute()
        except RedisError:
            self.survived(token)  # the reply may have been lost, and not the request
            raise
        return token

    def survived(self, token: str) -> None:
        """End a try that the process survived. Raises nothing: it is repeated if Redis is away."""
        self._survived((token,))

    def owe(self, token: str) -> None:
        """End a try that the process survived, of which Redis is told a moment later."""
        with self._lock:
            if token in self._running:
                self._owed[token] = self._running.pop(token)

    def paid(self, token: str) -> None:
        """Take note that Redis knows of a try that was owed."""
        with self._lock:
            self._owed.pop(token, None)

    def forgive(self, *, but: Collection[Unit] = ()) -> None:
        """End all tries of this process, which dies by no fault of theirs, but those of some."""
        with self._lock:
            tokens = [token for token, unit in self._running.items() if unit not in but]
        self._survived(tokens)

    def crash(self, unit: Unit) -> None:
        """Count a unit of its run that is given up because of its deaths.

        Raises redis.RedisError.
        """
        key = _CRASHED + unit.run.name
        pipe = self._redis.pipeline()
        pipe.sadd(key, unit.key_in_run)
        pipe.expire(key, _KEEP_SECONDS)
        pipe.execute()

    def take_back(self) -> None:
        """Take back the tokens of survived tries; keep for later what Redis does not do now."""
        with self._lock:
            owed = dict(self._owed)
        if not owed:
            return
        pipe = self._redis.pipeline(transaction=False)
        for token, unit in owed.items():
            pipe.srem(_BEGUN + unit.name, token)
        try:
            pipe.execute()
        except RedisError:
            return
        with self._lock:
            for token in owed:
                self._owed.pop(token, None)

    def _survived(self, tokens: Iterable[str]) -> None:
        with self._lock:
            self._owed |= {it: self._running.pop(it) for it in tokens if it in self._running}
        self.take_back()

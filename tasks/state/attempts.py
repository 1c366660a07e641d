"""How often a unit was begun and not ended: the count that finds chunks that kill workers.

It is raised before the work and lowered after every end that the process survived, so only
deaths of the process remain counted.
"""

from __future__ import annotations

from redis import Redis

from tasks.runs.units import Unit

_PREFIX = "scriptorium:attempts:"
_KEEP_SECONDS = 7 * 24 * 3600


class Attempts:
    """Counters in Redis; a wipe only grants the chunk more tries."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def begin(self, unit: Unit) -> int:
        """Count one more attempt; return how many there are."""
        key = _PREFIX + unit.name
        pipe = self._redis.pipeline()
        pipe.incr(key)
        pipe.expire(key, _KEEP_SECONDS)
        return int(pipe.execute()[0])

    def survived(self, unit: Unit) -> None:
        """Take one attempt off the count: the process survived it."""
        self._redis.decr(_PREFIX + unit.name)

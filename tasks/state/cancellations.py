"""Whether a run was canceled: a flag in Redis, so that its tasks stop.

The fact is the run's result, which says `canceled`. Celery keeps revocations in a worker's memory,
and the next worker does not know them. So tasks read the flag: at their start, before each batch
and before they commit. Without it they only work in vain: a result is never replaced.
"""

from __future__ import annotations

from redis import Redis

from tasks.runs.units import Run

_PREFIX = "scriptorium:canceled:"
_KEEP_SECONDS = 7 * 24 * 3600


class Canceled(Exception):
    """The run was canceled; stop without a result."""


class Cancellations:
    """The flags of runs: tasks read them, the control plane sets them.

    Every method may raise redis.RedisError.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def flag(self, run: Run) -> None:
        """Set the flag of a run that is canceled or whose job is deleted."""
        self._redis.set(_name(run), 1, ex=_KEEP_SECONDS)

    def is_canceled(self, run: Run) -> bool:
        """Tell whether the flag is set; the store is not read."""
        return bool(self._redis.exists(_name(run)))


def _name(run: Run) -> str:
    return _PREFIX + run.name

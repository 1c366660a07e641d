"""Whether a run was canceled: an artifact, with a flag in Redis for speed.

Celery keeps revocations in a worker's memory, and the next worker does not know them. So tasks
read the flag: at their start, before each batch and before they commit.
"""

from __future__ import annotations

from redis import Redis

from tasks.artifacts import ArtifactStore
from tasks.runs import keys
from tasks.runs.units import Run

_PREFIX = "scriptorium:canceled:"
_KEEP_SECONDS = 7 * 24 * 3600


class Canceled(Exception):
    """The run was canceled; stop without a result."""


class Cancellations:
    """The cancellations of runs: tasks read them, the control plane writes them."""

    def __init__(self, redis: Redis, store: ArtifactStore) -> None:
        self._redis = redis
        self._store = store

    def cancel(self, run: Run) -> None:
        """Write it to the store, which survives a Redis wipe, then set the flag that tasks read.

        Raises StoreUnavailable or redis.RedisError.
        """
        self._store.put(keys.of_run(run, "canceled"), b"")
        self.flag(run)

    def flag(self, run: Run) -> None:
        """Set only the flag, for a run that is canceled in the store."""
        self._redis.set(_name(run), 1, ex=_KEEP_SECONDS)

    def is_canceled(self, run: Run) -> bool:
        """Tell whether the flag is set; the store is not read.

        The reconciler restores the flag after a wipe.
        """
        return bool(self._redis.exists(_name(run)))


def _name(run: Run) -> str:
    return _PREFIX + run.name

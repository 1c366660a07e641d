"""Let a unit that may kill its process run alone in it, so that its neighbours do not die with it.

A pool of threads runs several units in one process. If it dies, each of them has a death more,
and only one of them is to blame. So a unit that was running in a process that died is tried again
alone: then its next death is its own, and the others are soon known to be innocent.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Isolation:
    """A lock that many units hold together, or one alone; the one that waits goes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._alone = False
        self._waiting = 0  # units that want to run alone

    @contextmanager
    def held(self, *, alone: bool) -> Iterator[None]:
        """Wait until the unit may run, and hold the lock for the block."""
        self._enter(alone)
        try:
            yield
        finally:
            with self._changed:
                if alone:
                    self._alone = False
                else:
                    self._together -= 1
                self._changed.notify_all()

    def _enter(self, alone: bool) -> None:
        with self._changed:
            if alone:
                self._waiting += 1
                self._changed.wait_for(lambda: not (self._alone or self._together))
                self._waiting -= 1
                self._alone = True
            else:
                self._changed.wait_for(lambda: not (self._alone or self._waiting))
                self._together += 1

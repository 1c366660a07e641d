"""Let the process "die" at any call to the store or to Redis, before or behind it.

Everything that a process does to the world goes through few functions: the methods of
`MemoryStore`, and the commands and pipelines of redis-py, which kombu uses too. `Crashes` counts
them. At the chosen one it raises `Crash`, and again at each later one until the block ends: a
dead process writes nothing more, whatever its `finally` blocks would like to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from redis.client import Pipeline

from tasks.artifacts.memory import MemoryStore

STORE_CALLS = ("put", "put_file", "put_stream", "get", "fetch", "size", "list", "delete")


class Crash(BaseException):
    """The process died here."""


class Crashes:
    """Counts the calls of a block, and ends it at one of them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []  # of the block, by name
        self._at = 0  # the number of the deadly call; 0: none
        self._is_behind = False  # it is done before the process dies
        self._counts = False
        for name in STORE_CALLS:
            patch.setattr(MemoryStore, name, self._deadly(name, getattr(MemoryStore, name)))
        patch.setattr(Redis, "execute_command", self._deadly("redis", Redis.execute_command))
        patch.setattr(Pipeline, "execute", self._deadly("pipeline", Pipeline.execute))

    @contextmanager
    def at(self, number: int, *, behind: bool = False) -> Iterator[None]:
        """Die at the call of that number, from 1; at 0, count only."""
        self.calls, self._at, self._is_behind, self._counts = [], number, behind, True
        try:
            yield
        except Crash:
            pass
        finally:
            self._counts = False

    @property
    def died(self) -> bool:
        return 0 < self._at <= len(self.calls)

    def _deadly(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if not self._counts:
                return call(*arguments, **options)
            if self.died:
                raise Crash
            self.calls.append(f"{name} {arguments[1]!r}" if len(arguments) > 1 else name)
            if not self.died:
                return call(*arguments, **options)
            if self._is_behind:
                call(*arguments, **options)
            raise Crash

        return wrapped

"""A Redis server that a test hurts: it refuses writes in each way that Redis knows, or hangs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from redis import Redis

from orchestrator.local.redis_server import RedisServer


def _readonly(admin: Redis) -> None:
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")  # a master that was demoted


def _master(admin: Redis) -> None:
    admin.execute_command("REPLICAOF", "NO", "ONE")


def _full(admin: Redis) -> None:
    admin.config_set("maxmemory-policy", "noeviction")
    admin.config_set("maxmemory", 1)


def _empty(admin: Redis) -> None:
    admin.config_set("maxmemory", 0)


def _alone(admin: Redis) -> None:
    admin.config_set("min-replicas-to-write", 1)


def _enough(admin: Redis) -> None:
    admin.config_set("min-replicas-to-write", 0)


REFUSALS: Mapping[str, tuple[Callable[[Redis], None], Callable[[Redis], None]]] = {
    "READONLY": (_readonly, _master),
    "OOM": (_full, _empty),
    "NOREPLICAS": (_alone, _enough),
}


class OwnRedis(RedisServer):
    """A server of the test alone."""

    @contextmanager
    def refusing(self, kind: str) -> Iterator[None]:
        """Let it refuse writes, with the error of that name, during the block."""
        begin, end = REFUSALS[kind]
        with Redis.from_url(self.url) as admin:
            begin(admin)
            try:
                yield
            finally:
                end(admin)

    def refuse(self, kind: str, seconds: float) -> None:
        """Let it refuse writes for so long."""
        with self.refusing(kind):
            time.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Let it answer nothing for so long; what it holds stays."""
        self._signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.resume()

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.child is not None and self.child.exit_status is None:
            os.kill(self.child.pid, number)

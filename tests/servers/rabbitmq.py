"""A RabbitMQ for tests: a node of its own on free ports, which ends with the test."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import time
from pathlib import Path

import pytest
from kombu.connection import Connection

from orchestrator.local.process import Child

REQUIRED = os.environ.get("SCRIPTORIUM_TEST_RABBITMQ") == "required"
START_SECONDS = 60.0
# The wrapper that Debian puts on PATH changes the user and drops the environment.
PLACES = "/usr/lib/rabbitmq/bin:/opt/rabbitmq/sbin:" + os.environ.get("PATH", "")


class RabbitServer:
    """Keeps its messages in a directory, so that it can be stopped and started again."""

    def __init__(self, directory: Path, *configuration: str) -> None:
        directory.mkdir()
        self._directory = directory
        amqp, distribution, names = _free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{amqp}//"
        (directory / "rabbitmq.conf").write_text("\n".join((*configuration, "")))
        (directory / "plugins").write_text("[].")
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(directory),  # of the cookie
            "RUNNING_UNDER_SYSTEMD": "true",  # become the server, without a shell around it
            "RABBITMQ_NODENAME": f"test-{secrets.token_hex(4)}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": amqp,
            "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "ERL_CRASH_DUMP": os.devnull,
            "ERL_EPMD_PORT": names,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self._server: Child | None = None
        self._names: Child | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        # Without one that is ours, the server would start one that stays behind.
        self._names = self._child("epmd", "epmd")
        self._server = self._child("rabbitmq", str(server_binary()))
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._server.exit_status is None, self._log()
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether it lets us in."""
        with Connection(self.url, connect_timeout=5) as connection:
            try:
                connection.connect()
            except (*connection.connection_errors, *connection.channel_errors):
                return False
            return True

    def stop(self) -> None:
        """Let it put everything on disk and end it."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(START_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it now, as a power cut would."""
        if self._server is not None:
            self._server.kill()
        if self._names is not None:
            self._names.kill()
        self._server = self._names = None

    def _child(self, name: str, binary: str) -> Child:
        return Child(name, [binary], self._directory / f"{name}.log", self._environment)

    def _log(self) -> str:
        return (self._directory / "rabbitmq.log").read_text(errors="replace")[-3000:]


def server_binary() -> str | None:
    """The program, if it is installed."""
    return shutil.which("rabbitmq-server", path=PLACES)


def rabbit_server(directory: Path, *configuration: str) -> RabbitServer:
    """A running one. Skips the test without the program, where that is not required."""
    if server_binary() is None:
        reason = "rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)"
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    server = RabbitServer(directory, *configuration)
    try:
        server.start()
    except BaseException:
        server.stop()
        raise
    return server


def _free_ports(number: int) -> list[str]:
    """Different ones: all are held before the first is let go."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports

"""The chart's own Redis, started as its container would start it."""

from __future__ import annotations

import copy
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import AuthenticationError, ConnectionError, NoPermissionError

from config.settings import Settings
from orchestrator.local.redis_server import server_binary
from tasks.broker import make_app, redis_address
from tests.deployment.chart import objects, of_kind, value_file, variables
from tests.eventually import eventually
from tests.ip_families import needs_ipv6

PASSWORD = "0/1@2:3#4%5 6\"7\\8'9$(id)`id`?&+{{ü"  # each means something to a URL, a shell or Redis
USERS = ("api", "worker", "reconciler", "triggers", "flower", "sender")


@dataclass
class Started:
    process: subprocess.Popen[bytes]
    port: int

    def client(self, password: str | None = PASSWORD) -> Redis:
        return Redis(port=self.port, password=password)

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except ConnectionError:
            return False


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """The container's command, with directories and a port of this test."""
    found = objects(value_file("everything"))
    config = of_kind(found, "ConfigMap")["demo-speech-redis"]["data"]["redis.conf"]
    pod = of_kind(found, "Deployment")["demo-speech-redis"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {one["name"] for one in container["env"]} == {"REDIS_PASSWORD", "REDISCLI_AUTH"}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data, file = tmp_path / "data", tmp_path / "redis.conf"
    data.mkdir()
    config = config.replace("dir /data", f"dir {data}").replace("port 6379", f"port {port}")
    file.write_text(config, encoding="utf-8")
    binary = server_binary()
    assert binary is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "redis-server").symlink_to(binary)
    (script,) = container["args"]
    process = subprocess.Popen(
        [*container["command"], script.replace("/etc/redis/redis.conf", str(file))],
        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "REDIS_PASSWORD": PASSWORD},
        stdout=subprocess.DEVNULL,
    )
    server = Started(process, port)
    try:
        eventually(server.answers)
        yield server
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_it_answers_to_those_who_know_its_password_alone(started: Started) -> None:
    with started.client() as client:
        assert client.ping()
    with started.client(password=None) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()


def test_a_process_of_ours_is_let_in_with_the_password_as_it_is(started: Started) -> None:
    url = f"redis://127.0.0.1:{started.port}/0"  # the host of a cluster's Service is not known here
    told = variables(objects(value_file("everything")), "demo-speech-worker-gpu")
    assert told["SCRIPTORIUM_REDIS_URL"] == "redis://demo-speech-redis:6379/0"
    assert told["SCRIPTORIUM_REDIS_PASSWORD"]["secretKeyRef"]["key"] == "redis-password"
    values = Settings(redis_url=SecretStr(url), redis_password=SecretStr(PASSWORD))
    assert Redis.from_url(redis_address(values).client_url).ping()
    celery = make_app(values)
    assert celery.backend.client.ping()
    with celery.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1)
        assert broker.default_channel.client.ping()
    celery.close()


@needs_ipv6
@pytest.mark.slow
def test_it_is_reached_over_ipv4_and_over_ipv6(started: Started) -> None:
    for host in ("127.0.0.1", "[::1]"):
        url = SecretStr(f"redis://{host}:{started.port}/0")
        values = Settings(redis_url=url, redis_password=SecretStr(PASSWORD))
        assert Redis.from_url(redis_address(values).client_url).ping()
        celery = make_app(values)
        with celery.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1)
            assert broker.default_channel.client.ping()
        celery.close()


def test_its_password_is_in_no_command_line(started: Started) -> None:
    assert PASSWORD not in Path(f"/proc/{started.process.pid}/cmdline").read_bytes().decode()


def test_it_keeps_what_it_is_told_and_forgets_nothing_to_make_room(started: Started) -> None:
    with started.client() as client:
        told = {
            name: client.config_get(name)[name]
            for name in ("appendonly", "maxmemory-policy", "maxmemory", "save")
        }
    assert told == {
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
        "maxmemory": str(900 * 1024**2),
        "save": "",
    }


def test_the_signal_that_ends_its_container_ends_it(started: Started) -> None:
    started.process.send_signal(signal.SIGTERM)  # to the shell's process, which has become Redis
    assert started.process.wait(30) == 0


def test_the_container_gives_each_component_a_user(tmp_path: Path) -> None:
    values = copy.deepcopy(value_file("everything"))
    values["redis"] |= {"users": {"existingSecret": "users"}}
    pod = of_kind(objects(values), "Deployment")["demo-speech-redis"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    told = {one["name"] for one in container["env"] if one["name"].startswith("USER_")}
    assert told == {f"USER_{user.upper()}" for user in USERS}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "redis.conf").write_text(f"bind 127.0.0.1\nport {port}\ndir {tmp_path}\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "redis-server").symlink_to(str(server_binary()))
    (script,) = container["args"]
    process = subprocess.Popen(
        [*container["command"], script.replace("/etc/redis/redis.conf", f"{tmp_path}/redis.conf")],
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "REDIS_PASSWORD": PASSWORD,
            **{name: f"{name} {PASSWORD}" for name in told},
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        assert eventually(Started(process, port).answers)
        for user in USERS:
            own = Redis(port=port, username=user, password=f"USER_{user.upper()} {PASSWORD}")
            with own as client, pytest.raises(NoPermissionError):
                assert client.ping()
                client.flushall()
    finally:
        process.kill()
        process.wait()

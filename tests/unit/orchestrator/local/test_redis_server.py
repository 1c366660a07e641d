"""A Redis of our own: private, empty, gone when we stop it."""

from __future__ import annotations

import os
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from gpu_worker.errors import RedisUnavailable
from orchestrator.local import redis_server as module
from orchestrator.local.redis_server import RedisServer, server_binary
from tests.eventually import eventually


def test_it_answers_to_those_who_know_its_password(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.ping()
    stranger = "redis://127.0.0.1:" + redis_url.rpartition(":")[2]
    with Redis.from_url(stranger) as client, pytest.raises(AuthenticationError):
        client.ping()


def test_it_listens_on_this_machine_alone_and_saves_nothing(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        assert client.config_get("save") == {"save": ""}


def test_its_password_is_in_no_command_line(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    assert server.child is not None
    command = Path(f"/proc/{server.child.pid}/cmdline").read_bytes().decode()
    server.stop()
    assert server.url.split(":")[2].partition("@")[0] not in command
    assert server.child.exit_status is not None
    with Redis.from_url(server.url) as client, pytest.raises(RedisError):
        client.ping()


def test_one_that_died_comes_back_at_the_same_address(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        assert server.child is not None
        with Redis.from_url(server.url) as client:
            client.set("key", 1)
        died = server.child.pid
        server.child.kill()
        assert eventually(lambda: server.child is not None and server.child.pid != died)
        with Redis.from_url(server.url) as client:
            assert eventually(lambda: answers(client))
            assert client.get("key") is None
    finally:
        server.stop()


def write_server(directory: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name, which is the first on PATH."""
    binary = directory / "redis-server"
    binary.write_text(f"#!/bin/sh\n{code}\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")


def test_a_port_that_another_program_takes_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = server_binary(), tmp_path / "seen"
    code = f"[ -e {seen} ] && exec {real} -\ncat > /dev/null; touch {seen}; exit 1"
    write_server(tmp_path, code, monkeypatch)
    server = RedisServer(tmp_path)
    taken = server.url
    server.start()
    try:
        assert server.url != taken
        with Redis.from_url(server.url) as client:
            assert client.ping()
    finally:
        server.stop()


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


@pytest.mark.parametrize("package", module.WHEELS)
def test_a_server_inside_a_wheel_is_found_without_importing_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / package / module.WHEELS[package].replace("*", "linux-x86_64")
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\n")
    (tmp_path / package / "__init__.py").write_text("raise ImportError\n")
    monkeypatch.setattr(module, "WHEELS", {package: module.WHEELS[package]})
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "find_spec", partial(PathFinder.find_spec, path=[str(tmp_path)]))
    assert server_binary() is None  # it cannot be executed
    binary.chmod(0o755)
    assert server_binary() == str(binary)


def test_without_a_server_one_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert server_binary() is None
    with pytest.raises(RedisUnavailable) as caught:
        RedisServer(tmp_path).start()
    assert "REDIS_URL" in caught.value.advice
    RedisServer(tmp_path).stop()


def test_a_server_that_does_not_start_is_reported_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_server(tmp_path, "cat > /dev/null; echo broken", monkeypatch)
    with pytest.raises(RedisUnavailable, match="ended at its start") as caught:
        RedisServer(tmp_path).start()
    assert "redis.log" in caught.value.advice
    assert set((tmp_path / "redis.log").read_text().splitlines()) == {"broken"}
    write_server(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(module, "START_SECONDS", 0.2)
    with pytest.raises(RedisUnavailable, match="did not start within"):
        RedisServer(tmp_path).start()

"""The front door's programs: what they are called with, and where they may listen."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption, LibraryMissing
from orchestrator.local import front_door
from orchestrator.local.front_door import (
    API_PROCESSES,
    FLOWER_USER,
    NotReady,
    api_programs,
    celery_program,
    flower_program,
    url_of,
    wait_until_ready,
    with_addresses,
)
from tests.servers.web import body, web_server

VALUES = Settings(
    redis_url=SecretStr("redis://:secret-redis@host/0"),
    hf_token=SecretStr("secret-token"),
    api_key=SecretStr("secret-key-of-the-api"),
    flower_password=SecretStr("secret-flower"),
    flower_port=1234,
)
LOGS = Path("/logs")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.needs("flower")
def test_no_secret_is_in_a_command_line() -> None:
    programs = [
        *api_programs(VALUES, LOGS),
        celery_program(VALUES, LOGS, "x"),
        flower_program(VALUES, LOGS),
    ]
    assert not any("secret" in part for program in programs for part in program.command)
    assert len({program.name for program in programs}) == len(programs) == 2 + API_PROCESSES
    assert len({program.log for program in programs}) == 3


@pytest.mark.needs("flower")
def test_each_program_is_told_the_secrets_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    api = api_programs(VALUES, LOGS)[0].environment
    assert api["SCRIPTORIUM_API_KEY"] == "secret-key-of-the-api"
    trigger = celery_program(VALUES, LOGS, "x").environment
    flower = flower_program(VALUES, LOGS).environment
    for environment in (trigger, flower):
        assert environment["SCRIPTORIUM_REDIS_URL"] == "redis://:secret-redis@host/0"
        assert "secret-key-of-the-api" not in environment.values()
    assert "secret-token" not in flower.values()


@pytest.mark.needs("flower")
def test_flower_s_own_metrics_are_not_among_ours() -> None:
    counting = VALUES.model_copy(update={"metrics_dir": LOGS / "metrics"})
    assert "PROMETHEUS_MULTIPROC_DIR" not in flower_program(counting, LOGS).environment
    api = api_programs(counting, LOGS)[0].environment
    assert api["PROMETHEUS_MULTIPROC_DIR"] == str(LOGS / "metrics")


@pytest.mark.needs("flower")
def test_flower_asks_for_a_password_on_loopback_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLOWER_READ_ONLY", "False")
    program = flower_program(VALUES, LOGS)
    assert {"--address=127.0.0.1", "--port=1234", "--read_only=True"} <= set(program.command)
    told = {name: it for name, it in program.environment.items() if name.startswith("FLOWER_")}
    assert told == {"FLOWER_BASIC_AUTH": f"{FLOWER_USER}:secret-flower"}


@pytest.mark.needs("flower")
@pytest.mark.parametrize("password", ["", "a,b"])
def test_flower_needs_a_password_that_it_understands(password: str) -> None:
    values = VALUES.model_copy(update={"flower_password": SecretStr(password)})
    with pytest.raises(InvalidOption, match="password"):
        flower_program(values, LOGS)


@pytest.mark.needs("flower")
def test_a_missing_flower_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert importlib.util.find_spec("flower")
    monkeypatch.setattr(front_door, "find_spec", lambda name: None)
    with pytest.raises(LibraryMissing) as missing:
        flower_program(VALUES, LOGS)
    assert "scriptorium[flower]" in missing.value.advice


def test_free_ports_and_a_password_are_found() -> None:
    found = with_addresses(Settings(api_port=0, flower_port=0), api=True, flower=True)
    assert found.api_port and found.flower_port and found.api_port != found.flower_port
    assert found.flower_password is not None
    assert len(found.flower_password.get_secret_value()) >= 20
    again = with_addresses(VALUES.model_copy(update={"flower_port": 0}), api=False, flower=True)
    assert again.flower_password == VALUES.flower_password


def test_a_port_that_is_taken_is_said_before_anything_starts(taken: int) -> None:
    with pytest.raises(InvalidOption, match=f"port {taken} .*in use") as refused:
        with_addresses(Settings(api_port=taken), api=True, flower=False)
    assert "--port" in refused.value.advice
    with pytest.raises(InvalidOption) as refused:
        with_addresses(Settings(flower_port=taken), api=False, flower=True)
    assert "--flower-port" in refused.value.advice
    assert with_addresses(Settings(api_port=taken), api=False, flower=False).api_port == taken


def test_an_address_that_is_not_this_machine_s_is_said_too() -> None:
    with pytest.raises(InvalidOption, match="Name or service not known"):
        with_addresses(Settings(api_host="no-such-host.invalid"), api=True, flower=False)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://127.0.0.1:80"),  # it is every address of IPv4 too
        ("::1", "http://[::1]:80"),
        ("here.example", "http://here.example:80"),
    ],
)
def test_urls_are_for_people_on_this_machine(host: str, url: str) -> None:
    assert url_of(host, 80) == url


def test_waiting_ends_when_the_api_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_door, "POLL_SECONDS", 0.01)
    with web_server(body(b"{}")) as server:
        wait_until_ready(server.url(""), LOGS, lambda: True)
    assert [path for _, path, _ in server.requests] == ["/readyz"]


def test_an_api_that_does_not_answer_is_reported_with_its_log(taken: int) -> None:
    with web_server(body(b"{}", 503)) as server, pytest.raises(NotReady) as late:
        wait_until_ready(server.url(""), LOGS / "api.log", lambda: True, seconds=0.2)
    assert "api.log" in late.value.advice
    with pytest.raises(NotReady):
        wait_until_ready("http://127.0.0.1:1", LOGS, lambda: True, seconds=0.2)


def test_nobody_waits_for_what_is_not_wanted_any_more() -> None:
    stop = threading.Event()
    stop.set()
    wait_until_ready("http://127.0.0.1:1", LOGS, lambda: not stop.is_set())

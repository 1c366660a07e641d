"""What programs are told by their environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings
from orchestrator.local.programs import FRONT_DOOR_SECRETS, Program, settings_environment

VALUES = Settings(
    redis_url=SecretStr("redis://:secret@host/0"),
    home=Path("/home/x"),
    api_key=SecretStr("scr_key-of-the-cluster"),
    webhook_key=SecretStr("webhooks-of-the-cluster"),
    hooks_secret=SecretStr("hooks-of-the-cluster"),
    flower_password=SecretStr("flowers"),
    allow_urls=True,
    quotas={"acme": {"jobs_in_flight": 5}},
)


def test_a_program_reads_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings_environment(VALUES, {}).items():
        monkeypatch.setenv(name, value)
    assert Settings() == VALUES


def test_what_is_left_out_is_not_inherited_either() -> None:
    base = {f"SCRIPTORIUM_{name.upper()}": "inherited" for name in FRONT_DOOR_SECRETS}
    environment = settings_environment(VALUES, base | {"PATH": "/bin"}, without=FRONT_DOOR_SECRETS)
    told = " ".join(environment.values())
    assert not any(secret in told for secret in ("scr_key", "webhooks-of", "hooks-of", "flowers"))
    assert "inherited" not in told
    assert environment["PATH"] == "/bin"
    assert environment["SCRIPTORIUM_REDIS_URL"] == "redis://:secret@host/0"


def test_a_program_counts_where_its_cluster_does(monkeypatch: pytest.MonkeyPatch) -> None:
    values = VALUES.model_copy(update={"metrics_dir": Path("/home/x/metrics")})
    environment = settings_environment(values, {"PROMETHEUS_MULTIPROC_DIR": "/elsewhere"})
    assert environment["PROMETHEUS_MULTIPROC_DIR"] == "/home/x/metrics"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings() == values


def test_what_one_process_alone_can_have_is_not_handed_on() -> None:
    values = VALUES.model_copy(update={"metrics_port": 9100, "heartbeat_file": Path("/alive")})
    own = {"SCRIPTORIUM_METRICS_PORT": "9100", "SCRIPTORIUM_HEARTBEAT_FILE": "/alive"}
    assert not own.keys() & settings_environment(values, own).keys()
    assert settings_environment(values, {}, takes_over=True).items() >= own.items()
    of_systemd = {"NOTIFY_SOCKET": "/run/notify"}
    assert "NOTIFY_SOCKET" not in settings_environment(values, of_systemd)
    assert settings_environment(values, of_systemd, takes_over=True).items() >= of_systemd.items()


def test_a_program_does_not_show_its_environment() -> None:
    program = Program("x", ("true",), {"SECRET": "hunter2"}, Path("log"))
    assert "hunter2" not in repr(program)


def test_a_program_without_the_webhook_key_accepts_webhooks_all_the_same() -> None:
    told = settings_environment(VALUES, {}, without=FRONT_DOOR_SECRETS)
    assert told["SCRIPTORIUM_SENDS_WEBHOOKS"] == "True"
    assert "SCRIPTORIUM_WEBHOOK_KEY" not in told
    without = VALUES.model_copy(update={"webhook_key": None})
    told = settings_environment(without, {}, without=FRONT_DOOR_SECRETS)
    assert told["SCRIPTORIUM_SENDS_WEBHOOKS"] == "False"

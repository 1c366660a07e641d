"""`usage` shows what was used as a table, as CSV and as JSON."""

from __future__ import annotations

import json
import time

import pytest
from typer.testing import CliRunner, Result

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.cli.commands import app
from orchestrator.cluster.connection import Cluster
from tasks.runs import usage_keys
from tests.unit.orchestrator.usage.records import a_record


@pytest.fixture(autouse=True)
def environment(settings: Settings, connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.redis_url is not None and settings.store_url is not None
    monkeypatch.setenv("SCRIPTORIUM_REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", settings.store_url)
    prices = {"currency": "EUR", "audio_hour": 90.0, "device_hour": {"NVIDIA H200": 360.0}}
    monkeypatch.setenv("SCRIPTORIUM_PRICES", json.dumps(prices))
    for tenant in ("acme", "bolt"):
        record = a_record(tenant=tenant, ended_at=time.time())
        connection.store.put(usage_keys.used(record.run), record.to_bytes())


def shown(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["usage", *arguments])


def test_the_table_has_the_tenants_their_cards_and_the_cost() -> None:
    lines = shown("--by", "tenant").stdout.splitlines()
    names = "tenant runs audio s found s units cached retries stored MB NVIDIA H200 s cpu s kJ cost"
    assert " ".join(lines[0].split()) == f"{names} EUR"
    assert lines[1].split() == [
        "acme",
        "1",
        "40.0",
        "20.0",
        "5",
        "2",
        "1",
        "1.0",
        "10.0",
        "2.5",
        "3.0",
        "2.00",
    ]
    assert lines[3].split() == [
        "2",
        "80.0",
        "40.0",
        "10",
        "4",
        "2",
        "2.0",
        "20.0",
        "5.0",
        "6.0",
        "4.00",
    ]


def test_csv_and_json_are_for_programs() -> None:
    names, acme = shown("--csv", "--by", "tenant", "--tenant", "acme").stdout.splitlines()
    assert names.endswith("device_seconds NVIDIA H200,device_seconds cpu,joules,cost")
    assert acme.startswith("acme,1,40.0,20.0,")
    data = json.loads(shown("--json", "--by", "day", "--by", "stage").stdout)
    assert data["by"] == ["day", "stage"] and data["total"]["runs"] == 2


def test_before_the_first_day_nothing_was_used() -> None:
    data = json.loads(shown("--json", "--from", "2020-01-01", "--to", "2020-12-31").stdout)
    assert data["data"] == [] and data["total"]["units"] == 0
    assert shown("--to", "2020-12-31").exit_code == 0


@pytest.mark.parametrize(
    "wrong",
    [
        ("--csv", "--json"),
        ("--tenant", "../x"),
        ("--from", "today"),
        ("--from", "2026-02-01", "--to", "2026-01-01"),
    ],
)
def test_wrong_usage_is_told(wrong: tuple[str, ...]) -> None:
    assert isinstance(shown(*wrong).exception, InvalidOption)


@pytest.mark.parametrize("name", ["PRICES", "BUDGETS"])
def test_a_wrong_setting_is_told_at_the_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SCRIPTORIUM_{name}", '{"acme": {"nothing": 1}}')
    assert isinstance(CliRunner().invoke(app, ["list"]).exception, InvalidOption)

"""`load` shows what the reconciler measured."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from config.settings import Settings
from gpu_worker.errors import ScriptoriumError
from orchestrator.cli.commands import app
from orchestrator.cluster.connection import Cluster
from orchestrator.reconciler import Reconciler
from tests.inputs.examples import a_plan
from tests.unit.orchestrator.scaling.test_scaler import open_job


@pytest.fixture(autouse=True)
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.redis_url is not None and settings.store_url is not None
    monkeypatch.setenv("SCRIPTORIUM_REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", settings.store_url)


def test_it_shows_pools_stages_and_queues(connection: Cluster) -> None:
    open_job(connection, plan=a_plan(10, 20))
    Reconciler(connection).reconcile()
    shown = CliRunner().invoke(app, ["load"], catch_exceptions=False).stdout
    assert "1 open jobs" in shown
    assert "transcribe" in shown and "1 of 0–8" in shown
    found = json.loads(CliRunner().invoke(app, ["load", "--json"], catch_exceptions=False).stdout)
    assert {pool["pool"]: pool["backlog_seconds"] for pool in found["pools"]}["gpu"] == 30.0


def test_without_a_reconciler_it_says_so(connection: Cluster) -> None:
    ended = CliRunner().invoke(app, ["load"])
    assert isinstance(ended.exception, ScriptoriumError)
    assert ended.exception.code == "load_unknown"

"""`shadow report` shows counts, both sides, and the worst lines of the worst recordings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.cli.commands import app
from orchestrator.cli.shadow import print_report
from orchestrator.evaluation.shadows import Shadows, shadow_report
from orchestrator.usage.prices import Prices
from tests.unit.orchestrator.evaluation.test_shadows import pair

SPANS = [
    {"start": 4.0, "end": 9.5, "words": 5, "errors": 5, "first": "what is said", "second": ""},
    {"start": 0.0, "end": 3.0, "words": 5, "errors": 4, "first": "one [two]", "second": "on too"},
]


def compare(pairs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    bad = {"words": 10, "errors": 9, "spans": SPANS}
    return [{"words": 10, "errors": 1, "spans": SPANS[1:]}, bad]


def test_the_worst_recording_is_first_with_its_lines_side_by_side(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = Shadows([pair("a"), pair("b")], 1, 2, 3, 0)
    prices = Prices(currency="EUR", device_hour={"cpu": 3600.0})
    print_report(shadow_report(found, 20.0, prices, compare), 20)
    told = capsys.readouterr().out
    assert "2 shadows are compared, 1 of them flagged" in told
    assert "2 go on, 1 wait, 3 ended badly" in told and "50.00 % of production's words" in told
    assert "cost EUR" in told and "audio s a device s" in told
    first, second = (told.index(name) for name in ("b.wav  FLAGGED", "a.wav"))
    assert first < second and "what is said" in told[first:second] and "(nothing)" in told
    assert "one [two]" in told[second:], "no text is markup"


def test_a_cluster_without_shadows_has_an_empty_report(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.redis_url is not None and settings.store_url is not None
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", settings.store_url)
    runner = CliRunner()
    ended = runner.invoke(app, ["shadow", "report", "--json"], catch_exceptions=False)
    assert json.loads(ended.stdout)["done"] == 0
    ended = runner.invoke(app, ["shadow", "report"], catch_exceptions=False)
    assert ended.stdout.startswith("0 shadows are compared")


def test_a_wrong_shadow_is_told_when_a_command_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPTORIUM_SHADOW", '{"share": 0.5}')
    ended = CliRunner().invoke(app, ["models", "list"])
    assert isinstance(ended.exception, InvalidOption) and "no option" in ended.exception.message

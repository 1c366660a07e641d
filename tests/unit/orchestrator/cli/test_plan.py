"""`plan` tells what a demand needs, and whose speeds it took."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from config.settings import Settings
from gpu_worker.errors import InvalidOption, ScriptoriumError
from orchestrator.cli.commands import app
from orchestrator.cluster.connection import Cluster
from tasks.runs.stages import Stage
from tasks.state.speeds import NAME, SpeedName, Speeds

pytestmark = pytest.mark.slow  # each plays days


def planned(*options: str) -> dict[str, Any]:
    given = ["plan", "--hours-per-day", "100", "--files", "1:1-10", "--json", *options]
    found: dict[str, Any] = json.loads(
        CliRunner().invoke(app, given, catch_exceptions=False).stdout
    )
    return found


def test_without_a_cluster_it_takes_first_guesses_and_says_so() -> None:
    found = planned()
    assert found["guessed"] == ["--speed", "--cpu-speed"]
    assert found["workers"]["gpu_speed"] == pytest.approx(1 / (1 / 40 + 1 / 100))
    assert found["workers"]["cpu_speed"] == pytest.approx(2 / (1 / 300 + 1 / 2_000))
    assert found["scaled"]["gpus"] >= 1


def test_speakers_cost_more() -> None:
    assert planned("--diarize")["busy_gpus"] > planned()["busy_gpus"]


def test_given_speeds_are_no_guesses() -> None:
    found = planned("--speed", "100", "--cpu-speed", "500", "--peak", "2.4")
    assert found["guessed"] == []
    assert found["busy_gpus"] == pytest.approx(100 / 24 * 2.4 / 100)


def test_a_speed_of_0_is_refused_and_not_taken_for_none() -> None:
    for option in ("--speed", "--cpu-speed"):
        ended = CliRunner().invoke(app, ["plan", "--hours-per-day", "100", option, "0"])
        assert isinstance(ended.exception, InvalidOption)


def test_prices_are_for_a_day() -> None:
    found = planned("--gpu-hour", "2")
    assert found["always_on_cost"] == pytest.approx(48 * found["always_on"]["gpus"])


def test_the_table_shows_both_fleets_and_the_guess() -> None:
    shown = (
        CliRunner().invoke(app, ["plan", "--hours-per-day", "100"], catch_exceptions=False).stdout
    )
    assert "by the load" in shown and "always on" in shown
    assert "A guess, not measured: --speed and --cpu-speed" in shown


@pytest.mark.parametrize("wrong", ["1-10", "1:10", "x:1-2", "1:2-", "1.2.3:1-2"])
def test_files_that_cannot_be_read_are_refused(wrong: str) -> None:
    ended = CliRunner().invoke(app, ["plan", "--hours-per-day", "1", "--files", wrong])
    assert isinstance(ended.exception, ScriptoriumError)
    assert ended.exception.code == "invalid_option"


class TestMeasured:
    @pytest.fixture(autouse=True)
    def environment(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        assert settings.redis_url is not None and settings.store_url is not None
        monkeypatch.setenv("SCRIPTORIUM_REDIS_URL", settings.redis_url.get_secret_value())
        monkeypatch.setenv("SCRIPTORIUM_STORE_URL", settings.store_url)

    def test_a_worker_is_as_fast_as_all_units_that_it_does_at_once(
        self, connection: Cluster
    ) -> None:
        model = connection.settings.model
        for stage in (Stage.TRANSCRIBE, Stage.ALIGN, Stage.PREPARE, Stage.ASSEMBLE):
            Speeds(connection.redis).observe(SpeedName(stage.pool, stage, model), 10.0, 200.0)
        found = planned("--measured")
        assert found["guessed"] == []
        assert found["workers"]["gpu_speed"] == pytest.approx(6 / (1 / 20 + 1 / 20))
        assert found["workers"]["cpu_speed"] == pytest.approx(2 / (1 / 20 + 1 / 20))

    def test_a_cluster_that_has_measured_nothing_is_told(self, connection: Cluster) -> None:
        connection.redis.delete(NAME)
        ended = CliRunner().invoke(app, ["plan", "--hours-per-day", "1", "--measured"])
        assert isinstance(ended.exception, ScriptoriumError)
        assert "has measured no speed of align" in str(ended.exception)

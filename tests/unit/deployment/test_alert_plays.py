"""Every alert, played in Prometheus' own tool: it fires on its fault, and is silent beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.deployment.alerts import ALERTS, groups_of_the_chart, groups_of_the_files
from tests.deployment.expressions import SERIES, TARGET, values_of_labels
from tests.deployment.plays import DISASTERS, EVERYWHERE, PLAYS, Play, labels_of
from tests.deployment.promtool import needs_promtool, promtool_fault

PAGES_WITHIN = 15  # minutes
SILENT_DISASTERS = [play for play in PLAYS if play.file == DISASTERS]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The rules as Prometheus reads them: those of two releases, and the plain files."""
    groups = {
        "chart": groups_of_the_chart(),
        "fixed": groups_of_the_chart(with_keda=False),
        "files": groups_of_the_files(),
    }
    folder = tmp_path_factory.mktemp("rules")
    for name, found in groups.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"groups": found}), encoding="utf-8")
    return {name: folder / f"{name}.yaml" for name in groups}


def fault(plays: list[Play], rules: Path) -> str:
    """What promtool has against the plays, all at once; empty: nothing."""
    tests = [play.test(ALERTS[play.alert]["labels"]["severity"]) for play in plays]
    told = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}
    path = rules.with_suffix(".tests.yaml")
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return promtool_fault("test", "rules", path)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_played_both_ways(alert: str) -> None:
    assert {play.fires for play in PLAYS if play.alert == alert} == {True, False}


def test_no_play_is_of_an_alert_that_there_is_not() -> None:
    assert {play.alert for play in PLAYS} | {it for play in PLAYS for it in play.also} == set(
        ALERTS
    )


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.name)
def test_a_play_shows_what_processes_show(play: Play) -> None:
    for series in play.series:
        metric, given = series.partition("{")[0], labels_of(series)
        assert set(given) <= SERIES[metric].labels | TARGET, series
        for label, known in values_of_labels(metric).items():
            assert given.get(label, next(iter(known))) in known, series


@pytest.mark.slow
@needs_promtool
@pytest.mark.parametrize("file", sorted({play.file for play in PLAYS}))
def test_each_alert_fires_in_its_minute_and_all_others_are_silent(
    file: str, rules: dict[str, Path]
) -> None:
    expect([play for play in PLAYS if play.file == file and "chart" in play.rules], rules["chart"])


@pytest.mark.slow
@needs_promtool
def test_a_release_without_keda_misses_no_more_workers_than_its_replicas(
    rules: dict[str, Path],
) -> None:
    expect([play for play in PLAYS if play.rules == {"fixed"}], rules["fixed"])


@pytest.mark.slow
@needs_promtool
def test_the_plain_files_play_like_the_chart(rules: dict[str, Path]) -> None:
    # The same expressions, without a release: the disasters, and what is for them alone.
    expect([play for play in PLAYS if play.rules == {"files"}], rules["files"])
    expect(SILENT_DISASTERS, rules["files"])


def expect(plays: list[Play], rules: Path) -> None:
    assert plays
    if fault(plays, rules):  # which of them?
        faults = {f"{play.alert}: {play.name}": fault([play], rules) for play in plays}
        pytest.fail("\n".join(f"{name}\n{said}" for name, said in faults.items() if said))


@pytest.mark.parametrize("play", SILENT_DISASTERS, ids=lambda play: play.name)
def test_a_disaster_that_was_silent_pages_within_a_quarter_of_an_hour(play: Play) -> None:
    # The test above has seen that it fires in that minute, and not before.
    assert play.at is not None and play.rules == EVERYWHERE
    print(f"{play.at - play.begins:2} minutes: {play.alert}: {play.name}")
    assert play.at - play.begins <= PAGES_WITHIN
    assert ALERTS[play.alert]["labels"]["severity"] == "critical"


def test_the_runbook_says_in_how_many_minutes() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"\[(Scriptorium\w+)\]\(#\w+\) \| (\d+) \|$", page, re.MULTILINE)
    assert {(alert, int(minutes)) for alert, minutes in rows} == {
        (play.alert, play.at - play.begins) for play in SILENT_DISASTERS if play.at is not None
    }


def test_each_of_the_four_silent_disasters_is_played() -> None:
    assert {play.alert for play in SILENT_DISASTERS} == {
        "ScriptoriumWorkerFails",
        "ScriptoriumUnitsFail",
        "ScriptoriumWorkersMissing",
        "ScriptoriumDeliveriesFail",
        "ScriptoriumLoadMissing",
    }

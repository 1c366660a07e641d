"""What the chart's values say of the alerts: which there are, how bad they are, and when."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from tests import ROOT
from tests.deployment.alerts import ALERTS, by_name, groups_of_the_chart
from tests.deployment.chart import Object, objects, of_kind, rendered, values_of
from tests.deployment.expressions import Expression
from tests.deployment.promtool import needs_promtool, promtool

THRESHOLD = re.compile(r"([0-9.]+)[smhdw]?[^0-9\n]* # ([a-z]+)\n?")
THRESHOLDS = {
    name: {word: float(number) for number, word in THRESHOLD.findall(rule["expr"] + "\n")}
    for name, rule in ALERTS.items()
}
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def alerts(**values: Any) -> dict[str, dict[str, Any]]:
    return by_name(groups_of_the_chart(**values))


def test_there_are_all_alerts_as_their_files_have_them() -> None:
    found = alerts()
    assert list(found) == list(ALERTS)
    for name, rule in found.items():
        assert rule == ALERTS[name] | {"expr": rule["expr"]}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_looks_at_its_own_release_alone(name: str) -> None:
    expression = alerts()[name]["expr"]
    ours = '{namespace="speech",release="speech"'
    metrics = re.findall(r"scriptorium_[a-z_]+", expression)
    assert len(re.findall(rf"scriptorium_[a-z_]+{re.escape(ours)}[,}}]", expression)) == len(
        metrics
    )
    assert not Expression(expression).problems


def test_series_that_are_scraped_in_another_way_have_other_labels() -> None:
    found = alerts(matchers={"job": "voice"})["ScriptoriumReconcilerSilent"]["expr"]
    assert '(scriptorium_load_age_seconds{job="voice"})' in found


def test_an_alert_can_be_left_out() -> None:
    found = alerts(disabled=["ScriptoriumGpuHot"])
    assert set(found) == set(ALERTS) - {"ScriptoriumGpuHot"}


def test_a_group_without_alerts_is_left_out() -> None:
    groups = groups_of_the_chart(disabled=[name for name in ALERTS if "Api" in name])
    assert "scriptorium-api" not in {group["name"] for group in groups}


def test_every_alert_can_have_labels_and_one_alert_its_own() -> None:
    found = alerts(
        alertLabels={"team": "speech", "severity": "page"},
        alerts={"ScriptoriumGpuHot": {"severity": "info", "labels": {"team": "hall"}}},
    )
    assert found["ScriptoriumGpuHot"]["labels"] == {"severity": "info", "team": "hall"}
    assert found["ScriptoriumGpuIdle"]["labels"] == {"severity": "page", "team": "speech"}


def test_an_alert_can_wait_for_longer() -> None:
    found = alerts(alerts={"ScriptoriumGpuHot": {"for": "1h30m"}})
    assert found["ScriptoriumGpuHot"]["for"] == "1h30m"
    assert found["ScriptoriumGpuIdle"]["for"] == ALERTS["ScriptoriumGpuIdle"]["for"]


@pytest.mark.parametrize("name", [name for name, given in THRESHOLDS.items() if given])
def test_each_threshold_can_be_another(name: str) -> None:
    given = dict.fromkeys(THRESHOLDS[name], 77.5)
    found = alerts(alerts={name: {"thresholds": given}})[name]["expr"]
    assert {number for number, _ in THRESHOLD.findall(found + "\n")} == {"77.5"}
    assert not Expression(found.replace("77.5m", "77m")).problems


def test_the_alerts_have_thresholds() -> None:
    assert sum(map(len, THRESHOLDS.values())) > len(ALERTS)
    assert [name for name, given in THRESHOLDS.items() if not given] == [
        "ScriptoriumAuditTrailNotWritten",
        "ScriptoriumLoadMissing",
    ]


@needs_promtool
def test_prometheus_takes_the_rules_of_a_release_with_changes(tmp_path: Path) -> None:
    groups = groups_of_the_chart(
        matchers={"job": 'a"b'},
        alerts={
            "ScriptoriumWorkersMissing": {"thresholds": {"share": 0.8}, "for": "20m"},
            "ScriptoriumInteractiveQueueOld": {"thresholds": {"seconds": 1800000, "start": 30}},
        },
    )
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    assert "SUCCESS" in promtool("check", "rules", tmp_path / "rules.yaml")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"disabled": ["ScriptoriumGpuCold"]}, "there is no alert ScriptoriumGpuCold"),
        ({"alerts": {"GpuHot": {"severity": "info"}}}, "there is no alert GpuHot"),
        ({"alerts": {"ScriptoriumGpuHot": {"thresholds": {"kelvin": 3}}}}, "there is no kelvin"),
        ({"alerts": {"ScriptoriumGpuHot": {"for": "10 minutes"}}}, "for"),
        ({"alerts": {"ScriptoriumGpuHot": {"treshold": 3}}}, "treshold"),
        ({"runbookUrl": "docs/operations.md"}, "runbookUrl"),
    ],
)
def test_a_value_that_means_nothing_is_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(helm_python.HelmError, match=problem):
        groups_of_the_chart(**values)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_links_to_the_runbook_where_it_is_published(name: str) -> None:
    found = alerts(runbookUrl="https://example.org/runbook")[name]["annotations"]
    assert found["runbook_url"] == f"https://example.org/runbook#{name.lower()}"
    # A link that leads nowhere is none: without an address there is the name of the page.
    without = alerts()[name]["annotations"]
    assert "runbook_url" not in without and without["runbook"].startswith("docs/operations.md#")


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, True),
        ({"podMonitor": {"enabled": True}}, True),
        ({"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}, False),
        ({"prometheusRule": {"enabled": True, "matchers": {"job": "voice"}}}, False),
    ],
)
def test_alerts_that_would_see_nothing_are_warned_of(changes: Object, warned: bool) -> None:
    monitoring = {"prometheusRule": {"enabled": True}} | changes
    notes = rendered(values_of(monitoring=monitoring))["scriptorium/templates/NOTES.txt"]
    assert ("WARNING: the alerts look at series" in notes) is warned


def test_the_gpu_pools_of_the_release_are_known() -> None:
    workers = {
        "cpu": {"kind": "cpu"},
        "gpu": {"kind": "gpu"},
        "mig": {"kind": "gpu", "gpu": {"resourceName": "nvidia.com/mig-1g.10gb"}},
        "slow": {"kind": "gpu", "gpu": {"count": 0}},
        "off": {"kind": "gpu", "enabled": False},
    }
    values = values_of(workers=workers, monitoring={"prometheusRule": {"enabled": True}})
    (rule,) = of_kind(objects(values), "PrometheusRule").values()
    found = by_name(rule["spec"]["groups"])["ScriptoriumGpuPoolOnCpu"]["expr"]
    assert 'pool=~"gpu|mig"' in found and "GPU_POOLS" not in found


def test_the_runbook_lists_what_each_alert_has() -> None:
    rows = re.findall(r"^\| (Scriptorium\w+) \| (\w+) \| (\S+) \| (.*) \|$", PAGE, re.MULTILINE)
    numbers = {
        name: ", ".join(f"`{word}` {number:g}" for word, number in given.items())
        for name, given in THRESHOLDS.items()
    }
    assert rows == [
        (name, rule["labels"]["severity"], rule.get("for", "0m"), numbers[name] or "none")
        for name, rule in ALERTS.items()
    ]

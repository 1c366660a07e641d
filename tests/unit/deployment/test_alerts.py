"""The alert rules: they name what exists, and say what to do. test_alert_plays.py plays them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.alerts import ALERTS, FILES, groups_of_the_chart, groups_of_the_files
from tests.deployment.expressions import Expression
from tests.deployment.promtool import needs_promtool, promtool

BY_RELEASE = {"namespace", "release"}


def each_alert(test: Any) -> Any:
    return pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)(test)


def test_groups_and_alerts_have_names_of_their_own() -> None:
    groups = groups_of_the_files()
    assert [group["name"] for group in groups] == [f"scriptorium-{path.stem}" for path in FILES]
    assert len([rule for group in groups for rule in group["rules"]]) == len(ALERTS)
    assert all(re.fullmatch(r"Scriptorium[A-Z]\w+", name) for name in ALERTS)


@each_alert
def test_an_alert_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    expression = Expression(rule["expr"])
    assert not expression.problems
    assert expression.metrics
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert named <= expression.labels


@each_alert
def test_an_alert_keeps_releases_apart(rule: dict[str, Any]) -> None:
    assert Expression(rule["expr"]).labels >= BY_RELEASE
    joined = re.findall(r"\b(?:by|on) \(([^)]*)\)", rule["expr"])
    assert joined and all(set(names.split(", ")) >= BY_RELEASE for names in joined)


@each_alert
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/operations.md" and anchor == rule["alert"].lower()


@each_alert
def test_an_alert_does_not_say_a_number_that_values_change(rule: dict[str, Any]) -> None:
    said = rule["annotations"]["summary"] + rule["annotations"]["description"]
    if "for" in rule:
        number, unit = re.fullmatch(r"(\d+)([mh])", rule["for"]).groups()  # type: ignore[union-attr]
        words = {"m": "minutes?", "h": "hours?"}[unit]
        assert not re.search(rf"\b{number} {words}\b", said)


@needs_promtool
def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    for name, groups in ("files", groups_of_the_files()), ("chart", groups_of_the_chart()):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
        counts = re.findall(r"SUCCESS: (\d+) rules found", promtool("check", "rules", path))
        assert sum(map(int, counts)) == len(ALERTS)

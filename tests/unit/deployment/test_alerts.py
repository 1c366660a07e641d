"""The alert rules: they name what exists, and fire when they should and only then."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT
from tests.deployment.expressions import Expression

FILES = sorted((ROOT / "helm" / "scriptorium" / "alerts").glob("*.yaml"))
SCENARIOS = ROOT / "tests" / "data" / "alerts_test.yaml"
PROMTOOL = shutil.which("promtool")
FIRING = 'ALERTS{alertstate="firing"}'
SECONDS = {"m": 60, "h": 3600}

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian: apt-get install prometheus)"
)


def groups() -> list[dict[str, Any]]:
    return [group for path in FILES for group in yaml.safe_load(path.read_text())]


ALERTS = {rule["alert"]: rule for group in groups() for rule in group["rules"]}


def each_alert(test: Any) -> Any:
    return pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)(test)


def test_groups_and_alerts_have_names_of_their_own() -> None:
    names = [group["name"] for group in groups()]
    assert names == [f"scriptorium-{path.stem}" for path in FILES]
    rules = [rule for group in groups() for rule in group["rules"]]
    assert len(rules) == len(ALERTS)
    assert all(re.fullmatch(r"Scriptorium[A-Z]\w+", name) for name in ALERTS)


@each_alert
def test_an_alert_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    expression = Expression(rule["expr"])
    assert not expression.problems
    assert expression.metrics
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert named <= expression.labels


@each_alert
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/operations.md" and anchor == rule["alert"].lower()


@each_alert
def test_an_alert_has_a_scenario_in_which_it_fires(rule: dict[str, Any]) -> None:
    text = SCENARIOS.read_text()
    fires = f'ALERTS{{alertname="{rule["alert"]}",alertstate="firing"'
    assert fires in text
    # And every scenario says all that fires, so the others prove that it is silent.
    expressions = [
        one["expr"] for test in yaml.safe_load(text)["tests"] for one in test["promql_expr_test"]
    ]
    assert expressions.count(FIRING) > len(ALERTS)


@pytest.fixture
def rule_files(tmp_path: Path) -> list[Path]:
    """The groups as Prometheus reads them from files."""
    for path in FILES:
        body = {"groups": yaml.safe_load(path.read_text())}
        (tmp_path / path.name).write_text(yaml.safe_dump(body, allow_unicode=True))
    return [tmp_path / path.name for path in FILES]


def promtool(*arguments: str | Path) -> str:
    assert PROMTOOL
    ended = subprocess.run(
        [PROMTOOL, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@needs_promtool
def test_prometheus_takes_the_rules(rule_files: list[Path]) -> None:
    said = promtool("check", "rules", *rule_files)
    counts = [int(one) for one in re.findall(r"SUCCESS: (\d+) rules found", said)]
    assert sum(counts) == len(ALERTS)


@pytest.mark.slow
@needs_promtool
def test_the_alerts_fire_in_their_scenarios_and_only_there(
    rule_files: list[Path], tmp_path: Path
) -> None:
    tests = yaml.safe_load(SCENARIOS.read_text())
    tests["rule_files"] = [path.name for path in rule_files]
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests, allow_unicode=True))
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "tests.yaml")

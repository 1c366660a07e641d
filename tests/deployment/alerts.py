"""The alert rules, as their files have them and as the chart renders them."""

from __future__ import annotations

from typing import Any

import yaml

from tests import ROOT
from tests.deployment.chart import objects, of_kind, values_of

FILES = sorted((ROOT / "helm" / "scriptorium" / "alerts").glob("*.yaml"))
RELEASE = "speech"
Group = dict[str, Any]


def groups_of_the_files() -> list[Group]:
    """Every group of rules."""
    return [group for path in FILES for group in yaml.safe_load(path.read_text(encoding="utf-8"))]


def groups_of_the_chart(*, with_keda: bool = True, **values: Any) -> list[Group]:
    """The same of a release, with these values of `monitoring.prometheusRule`."""
    monitoring = {"prometheusRule": {"enabled": True, **values}}
    changed = values_of(monitoring=monitoring, keda={"enabled": with_keda})
    found = of_kind(objects(changed, RELEASE), "PrometheusRule")
    (rule,) = found.values()
    groups: list[Group] = rule["spec"]["groups"]
    return groups


def by_name(groups: list[Group]) -> dict[str, dict[str, Any]]:
    """Their rules."""
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


ALERTS = by_name(groups_of_the_files())

"""What the chart's pods are told about the hub of models."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deployment.chart import objects, of_kind, values_of


@pytest.mark.parametrize(("own", "told"), [({}, "30"), ({"hubSpreadSeconds": 0}, "0")])
def test_pods_that_start_together_ask_the_hub_apart_unless_told_otherwise(
    own: dict[str, Any], told: str
) -> None:
    values = values_of(settings=values_of().get("settings", {}) | own)
    found = [each.get("data", {}) for each in of_kind(objects(values), "ConfigMap").values()]
    (settings,) = [data for data in found if "SCRIPTORIUM_POOLS" in data]
    assert settings["SCRIPTORIUM_HUB_SPREAD_SECONDS"] == told

"""Values that bound what workers may reach let them reach what the same values make them need."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.deployment.chart import VALUE_FILES, Object, objects, of_kind, value_file, values_of
from tests.unit.deployment.test_chart_docs import VALUES as OF_THE_PAGE

WEB = 443
EXAMPLES = {path.stem: value_file(path.stem) for path in VALUE_FILES} | {
    f"deploy.md {number}": values for number, values in enumerate(OF_THE_PAGE, 1)
}
BOUNDED = {
    name: values
    for name, values in EXAMPLES.items()
    if values.get("networkPolicy", {}).get("workerEgress", {}).get("enabled")
}


def port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or {"https": WEB, "http": 80}[parts.scheme]


def needed(values: Object) -> dict[int, str]:
    """The ports that workers with these values must reach outside of the release, and why."""
    found: dict[int, str] = {}
    store = values.get("store", {})
    if store.get("url", "").startswith("s3://"):
        found[port_of(store["endpointUrl"]) if "endpointUrl" in store else WEB] = "the store"
    if not values.get("redis", {}).get("enabled", True):
        found[6379] = "an external Redis"
    if "externalBroker" in values:
        found[5672] = "RabbitMQ"
    if values.get("otel", {}).get("endpoint"):
        found[port_of(values["otel"]["endpoint"])] = "the collector"
    has_models = "baked" in str(values.get("images", {}).get("gpuWorker", {}).get("tag", ""))
    if not has_models and "HF_HUB_OFFLINE" not in str(values.get("extraEnv", "")):
        found[WEB] = "the hub"
    if values.get("settings", {}).get("allowUrls"):
        found[WEB] = "addresses of jobs"
    for proxy in re.findall(r"https?://[\w.-]+:\d+", str(values.get("extraEnv", ""))):
        found[port_of(proxy)] = "a proxy"
    return found


def reached(values: Object) -> dict[int, list[Any]]:
    """The ports that the policy lets workers reach, with the peers there; none: all."""
    policies = of_kind(objects(values, "speech"), "NetworkPolicy")
    (policy,) = [one for name, one in policies.items() if name.endswith("-workers")]
    assert policy["spec"]["policyTypes"] == ["Egress"]
    found: dict[int, list[Any]] = {}
    for rule in policy["spec"]["egress"]:
        for port in rule.get("ports", []):
            found.setdefault(port["port"], []).append(rule.get("to"))
    return found


def missing(values: Object) -> dict[int, str]:
    """What workers need and do not reach. The web's addresses are in no namespace."""
    ports = reached(values)
    return {
        port: why
        for port, why in needed(values).items()
        if port not in ports
        or (port == WEB and not any(to is None or "ipBlock" in str(to) for to in ports[port]))
    }


def test_there_are_examples_that_bound_what_workers_reach() -> None:
    assert {"deploy.md 2", "everything", "external"} <= set(BOUNDED)


@pytest.mark.parametrize("name", BOUNDED)
def test_an_example_s_workers_reach_what_its_settings_need(name: str) -> None:
    there = sorted(map(str, reached(BOUNDED[name])))
    print(f"{name}: needs {needed(BOUNDED[name])}, reaches {there}")
    assert missing(BOUNDED[name]) == {}


def test_an_example_that_cannot_work_would_be_found() -> None:
    storage = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "storage"}}}]
    rules: list[Object] = [{"to": storage, "ports": [{"port": 9000}, {"port": WEB}]}]
    policy = {"workerEgress": {"enabled": True, "rules": rules}}
    store = {"url": "s3://a/b", "endpointUrl": "http://minio:9000"}
    values = values_of(networkPolicy=policy, store=store)
    assert missing(values) == {WEB: "the hub"}
    assert missing(values | {"otel": {"endpoint": "http://collector:4318"}}).keys() == {WEB, 4318}
    external = {"redis": {"enabled": False}, "externalRedis": {"url": {"existingSecret": "x"}}}
    assert 6379 in missing(values | external)
    rules.append({"ports": [{"port": WEB, "protocol": "TCP"}]})
    assert missing(values) == {}

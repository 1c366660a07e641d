"""The chart is clean, and what it makes is what Kubernetes and the operators understand."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import helm_python
import jsonschema
import kubernetes_validate
import kubernetes_validate.utils
import pytest

from tests import DATA
from tests.deployment.chart import (
    CHART,
    VALUE_FILES,
    objects,
    of_kind,
    rendered,
    value_file,
    values_of,
)

OLDEST, NEWEST = "1.25", "1.37"  # of what Chart.yaml allows and of what is known here
NEEDS = {"dra": "1.34"}  # of examples of what older ones do not know
VERSIONS = [
    (path.stem, max(version, NEEDS.get(path.stem, OLDEST)))
    for path in VALUE_FILES
    for version in (OLDEST, NEWEST)
]
CRDS = json.loads((DATA / "crds.json").read_text())
WARNING = 2  # Helm's severities: information, warning, error
names = pytest.mark.parametrize("name", [path.stem for path in VALUE_FILES])


@pytest.fixture(autouse=True)
def quick_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each schema once."""
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", _schema)


@functools.cache
def _schema(filename: str, version: str) -> object:
    return _read(filename, version)


_read = kubernetes_validate.utils.schema_contents


def test_there_are_value_files_for_the_usual_clusters() -> None:
    assert len(VALUE_FILES) >= 10


@names
def test_lint_finds_nothing(name: str) -> None:
    report = helm_python.lint(CHART, value_file(name), strict=True, namespace="speech")
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] >= WARNING] == []


def test_lint_finds_nothing_without_any_values() -> None:
    report = helm_python.lint(CHART, {}, strict=True)
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] >= WARNING] == []


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_every_object_is_valid(name: str, version: str) -> None:
    kinds = set()
    for one in objects(value_file(name) | {"kubeVersion": f"{version}.0"}):
        kinds.add(one["kind"])
        if one["kind"] in CRDS:
            jsonschema.Draft202012Validator(CRDS[one["kind"]]).validate(one)
        else:
            kubernetes_validate.validate(one, version, strict=True)
    assert {"Deployment", "Service", "ConfigMap"} <= kinds


def test_the_shapes_of_custom_objects_refuse_what_they_do_not_know() -> None:
    one = next(iter(of_kind(objects(value_file("keda")), "ScaledObject").values()))
    one["spec"]["minReplicas"] = 1
    with pytest.raises(jsonschema.ValidationError, match="minReplicas"):
        jsonschema.Draft202012Validator(CRDS["ScaledObject"]).validate(one)


@pytest.mark.slow
def test_the_examples_use_every_template_and_every_kind_of_custom_object() -> None:
    kinds, used = set(), set()
    for path in VALUE_FILES:
        kinds |= {one["kind"] for one in objects(value_file(path.stem))}
        used |= {name for name, text in rendered(value_file(path.stem)).items() if text.strip()}
    with helm_python.Chart.load(CHART) as chart:
        templates = {f"scriptorium/{one['name']}" for one in chart.templates}
    assert {name for name in templates if not name.endswith(".tpl")} <= used
    assert {kind for kind in CRDS if kind != "$comment"} <= kinds


@names
def test_names_are_unique_and_short_enough(name: str) -> None:
    # A pool's Deployment names a ScaledObject too, and KEDA makes a label of that.
    release = "a-release-with-a-name-that-is-as-long-as-may-be-12345"
    found = objects(value_file(name), release)
    keys = [(one["kind"], one["metadata"]["name"]) for one in found]
    assert len(set(keys)) == len(keys)
    assert all(len(key) <= 63 for _, key in keys)


@names
def test_every_object_is_in_the_namespace_and_labelled(name: str) -> None:
    for one in objects(value_file(name)):
        labels = one["metadata"]["labels"]
        assert one["metadata"]["namespace"] == "speech"
        assert labels["app.kubernetes.io/instance"] == "demo"
        assert labels["helm.sh/chart"].startswith("scriptorium-")
        if name == "everything":
            assert labels["team"] == "voice"


def test_dashboards_are_the_files_of_the_chart() -> None:  # alerts: test_alert_values.py
    found = objects(value_file("everything"))
    shown = {
        name: json.loads(text)
        for one in of_kind(found, "ConfigMap").values()
        if one["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in one["data"].items()
    }
    paths = list((CHART / "dashboards").glob("*.json"))
    assert paths
    assert shown == {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": {}}, "Set images.orchestrator.registry"),
        ({"store": {}}, "Set store.url to s3://bucket/prefix"),
        ({"redis": {}}, "Redis needs a password"),
        ({"redis": {"enabled": False}}, "Name the Redis"),
        ({"flower": {"enabled": True}}, "Flower needs a password"),
        ({"triggers": {"sqs": {"enabled": True}}}, "triggers.sqs needs rules"),
        (
            {"triggers": {"sqs": {"enabled": True}, "existingRules": "rules"}},
            "Set triggers.sqs.queueUrl",
        ),
        (
            {"workers": {"gpu": {"noticeSeconds": 60, "terminationGracePeriodSeconds": 60}}},
            "noticeSeconds must be less than",
        ),
    ],
)
def test_what_is_missing_is_told_in_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(helm_python.HelmRenderError, match=sentence):
        rendered(values_of(**changes))


def test_a_packaged_chart_renders_the_same(tmp_path: Path) -> None:
    archive = helm_python.package(CHART, destination=tmp_path)
    with helm_python.Chart.load(archive) as chart:
        same = chart.render(value_file("everything"), name="demo", namespace="speech")
    assert same == rendered(value_file("everything"))


def worker_egress(**policy: Any) -> list[Any] | None:
    """What the workers' policy lets them reach; None without a policy."""
    values = values_of("minimal")
    values["networkPolicy"] = values.get("networkPolicy", {}) | policy
    found = of_kind(objects(values), "NetworkPolicy")
    named = [one for name, one in found.items() if name.endswith("-workers")]
    return named[0]["spec"]["egress"] if named else None


def test_workers_reach_no_credentials_of_their_node_unless_it_is_asked_for() -> None:
    egress = worker_egress()
    assert egress is not None
    blocks = [peer["ipBlock"] for peer in egress[0]["to"] if "ipBlock" in peer]
    assert {one for block in blocks for one in block["except"]} == {
        "169.254.0.0/16", "fe80::/10", "fd00:ec2::/32",
    }  # fmt: skip
    assert [rule for rule in egress[1:] if "to" in rule] == []
    assert worker_egress(workerMetadata=True) is None
    strict = worker_egress(workerEgress={"enabled": True, "rules": []})
    assert strict is not None
    assert "ipBlock" not in str(strict) and "namespaceSelector" not in str(strict)

"""A release that is upgraded: what must not change, what starts pods anew, what is side by side."""

from __future__ import annotations

from pathlib import Path

import helm_python
import pytest

from tests.deployment.chart import (
    CHART,
    VALUE_FILES,
    Object,
    objects,
    of_kind,
    parsed,
    pod_templates,
    value_file,
    values_of,
)

SELECTED = ("app.kubernetes.io/name", "app.kubernetes.io/instance")


@pytest.mark.parametrize("name", [path.stem for path in VALUE_FILES])
def test_selectors_hold_nothing_that_a_version_changes(name: str) -> None:
    for one in objects(value_file(name)):
        if one["kind"] in ("Deployment", "StatefulSet"):
            selector = one["spec"]["selector"]["matchLabels"]
            assert set(selector) <= {*SELECTED, "app.kubernetes.io/component", "pool"}
            assert selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()


def test_selectors_tell_components_and_pools_apart() -> None:
    found = objects(value_file("keda"))
    selectors = [
        one["spec"]["selector"]["matchLabels"] for one in found if one["kind"] == "Deployment"
    ]
    for owner, template in pod_templates(found):
        labels = template["metadata"]["labels"].items()
        assert sum(selector.items() <= labels for selector in selectors) == 1, owner


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The chart as a later version of it."""
    return Path(
        helm_python.package(CHART, destination=tmp_path, version="0.2.0", app_version="0.2.0")
    )


def rendered_by(chart: Path, values: Object) -> list[Object]:
    with helm_python.Chart.load(chart) as loaded:
        texts = loaded.render(values, name="demo", namespace="speech", is_upgrade=True)
    return parsed(texts)


def immutable(found: list[Object]) -> dict[tuple[str, str], object]:
    """What Kubernetes refuses to change, by object."""
    fields = ("selector", "serviceName", "volumeClaimTemplates")
    return {
        (one["kind"], one["metadata"]["name"]): {
            field: one["spec"].get(field) for field in fields if one["kind"] != "Service"
        }
        for one in found
        if one["kind"] in ("Deployment", "StatefulSet", "Service", "PersistentVolumeClaim")
    }


@pytest.mark.slow
def test_names_and_what_is_immutable_stay_when_version_and_values_change(
    next_version: Path,
) -> None:
    old = value_file("everything")
    new = old | {
        "settings": {"model": "large-v3"},
        "commonLabels": {"team": "another"},
        "podLabels": {},
        "monitoring": {},
        "workers": {"gpu": {"maximum": 3, "replicas": 2}, "extra": {"kind": "gpu"}},
    }
    before, after = immutable(objects(old)), immutable(rendered_by(next_version, new))
    assert {key: after.get(key) for key in before} == before
    assert ("Deployment", "demo-speech-worker-extra") in after


def test_a_new_image_starts_our_pods_anew_and_redis_stays(next_version: Path) -> None:
    before = dict(pod_templates(objects(values_of())))
    after = dict(pod_templates(rendered_by(next_version, values_of())))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == set(before) - {"demo-scriptorium-redis"}
    for name in changed:
        assert after[name]["spec"]["containers"][0]["image"].endswith(":0.2.0")


def test_a_new_setting_starts_our_pods_anew_and_another_secret_too() -> None:
    before = dict(pod_templates(objects(values_of())))
    after = dict(pod_templates(objects(values_of(settings={"model": "medium"}))))
    assert {name for name in before if before[name] != after[name]} == set(before) - {
        "demo-scriptorium-redis"
    }
    password = {"password": {"value": "another"}}
    again = dict(pod_templates(objects(values_of(redis=password))))
    assert all(before[name] != again[name] for name in before)


def test_new_ones_come_before_old_ones_go_except_where_a_gpu_may_be_needed() -> None:
    for owner, one in of_kind(objects(values_of()), "Deployment").items():
        if owner.endswith(
            "-redis"
        ):  # two of them would share a Service, each with half of the work
            assert one["spec"]["strategy"] == {"type": "Recreate"}
            continue
        rolling = one["spec"]["strategy"]["rollingUpdate"]
        assert rolling["maxSurge"] == 1, owner
        assert rolling["maxUnavailable"] == (1 if "worker" in owner else 0), owner


def test_the_store_outlives_the_release() -> None:
    claim = of_kind(objects(value_file("single-node")), "PersistentVolumeClaim")
    kept = claim["demo-scriptorium-store"]["metadata"]["annotations"]
    assert kept == {"helm.sh/resource-policy": "keep"}

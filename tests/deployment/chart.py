"""The chart as Helm renders it, with nothing installed and no cluster."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import helm_python
import yaml

from tests import ROOT

CHART = ROOT / "helm" / "scriptorium"
VALUE_FILES = sorted((CHART / "ci").glob("*.yaml"))
Object = dict[str, Any]


@cache
def value_file(name: str) -> Object:
    """One of the chart's examples of values, by its name without `.yaml`."""
    values: Object = yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text(encoding="utf-8"))
    return values


def values_of(name: str = "minimal", **changes: Any) -> Object:
    """An example with changes, which replace what is at the top level."""
    return copy.deepcopy(value_file(name)) | changes


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def rendered(values: Object, name: str = "demo") -> dict[str, str]:
    """Each template's text. Raises helm_python.HelmError, as `helm install` would fail."""
    _chart().validate_schema(values)
    return _chart().render(values, name=name, namespace="speech")


def objects(values: Object, name: str = "demo") -> list[Object]:
    """Every object of a release."""
    return copy.deepcopy(_objects(json.dumps(values), name))


@cache
def _objects(values: str, name: str) -> list[Object]:
    return parsed(rendered(json.loads(values), name))


def parsed(texts: dict[str, str]) -> list[Object]:
    """The objects in what Helm rendered."""
    return [
        document
        for path, text in texts.items()
        if path.endswith(".yaml")
        for document in yaml.load_all(text, yaml.CSafeLoader)
        if document
    ]


def of_kind(found: list[Object], kind: str) -> dict[str, Object]:
    """The objects of one kind, by name."""
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def pod_templates(found: list[Object]) -> Iterator[tuple[str, Object]]:
    """Name and pod template of all that runs."""
    for one in found:
        if one["kind"] in ("Deployment", "StatefulSet"):
            yield one["metadata"]["name"], one["spec"]["template"]


def containers(found: list[Object]) -> Iterator[tuple[str, Object]]:
    """Name of the owner, and each container."""
    for name, template in pod_templates(found):
        for container in template["spec"]["containers"]:
            yield name, container


def variables(found: list[Object], name: str) -> dict[str, Any]:
    """What a Deployment's container finds in its environment; a secret as its reference."""
    spec = of_kind(found, "Deployment")[name]["spec"]["template"]["spec"]["containers"][0]
    maps = of_kind(found, "ConfigMap")
    told: dict[str, Any] = {}
    for source in spec.get("envFrom", []):
        told |= maps.get(source.get("configMapRef", {}).get("name"), {}).get("data", {})
    for one in spec["env"]:
        told[one["name"]] = one.get("value", one.get("valueFrom"))
    return told

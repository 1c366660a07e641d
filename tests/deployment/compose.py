"""compose.yaml as Compose reads it, for the tests of images and services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests import ROOT

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")


def read_compose(
    variables: Mapping[str, str] | None = None, path: Path = ROOT / "compose.yaml"
) -> dict[str, Any]:
    """The file with its variables replaced, as they are with this environment."""
    found: dict[str, Any] = _interpolated(yaml.safe_load(path.read_text()), variables or {})
    return found


def variables_of(text: str) -> dict[str, str | None]:
    """The variables that Compose replaces, with their defaults."""
    return {one["name"]: one["default"] for one in _VARIABLE.finditer(text) if one["name"]}


def _interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _interpolated(one, variables) for name, one in value.items()}
    if isinstance(value, list):
        return [_interpolated(one, variables) for one in value]
    if not isinstance(value, str):
        return value

    def replaced(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        return variables.get(found["name"]) or found["default"] or ""

    return _VARIABLE.sub(replaced, value)

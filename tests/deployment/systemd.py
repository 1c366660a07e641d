"""The units of examples/systemd as systemd reads them: sections of keys with several values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests import ROOT

UNITS = ROOT / "examples" / "systemd"
INSTALLED = "/opt/scriptorium/bin/scriptorium"
Unit = dict[str, dict[str, list[str]]]


def read_unit(path: Path) -> Unit:
    """The values of each key of each section, in order."""
    found: Unit = {}
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            found[section] = {}
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[section].setdefault(key, []).append(value)
    return found


def services() -> list[Path]:
    """The files of all services."""
    return sorted(UNITS.glob("*.service"))


def variables_of(unit: Unit) -> dict[str, str]:
    """What the unit itself puts into the environment; files of variables win over it."""
    return dict(line.split("=", 1) for line in unit["Service"].get("Environment", ()))


def command_of(unit: Unit, program: str, replaced: Mapping[str, str]) -> list[str]:
    """ExecStart's words, with another program and with specifiers such as %i replaced."""
    (line,) = unit["Service"]["ExecStart"]
    for specifier, value in replaced.items():
        line = line.replace(specifier, value)
    first, *rest = line.split()
    assert first == INSTALLED
    return [program, *rest]


def seconds_of(text: str) -> float:
    """A span of time of systemd with one unit, such as 125s or 2min."""
    for unit, seconds in (("min", 60.0), ("s", 1.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * seconds
    return float(text)

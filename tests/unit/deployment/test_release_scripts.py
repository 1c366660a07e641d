"""What a release and a look at the images print: notes, sizes, and pins without a wheel."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

import pytest

from scripts.image_sizes import Layer, layers, table
from scripts.platform_wheels import LOCKS, pins, without_wheel
from scripts.release_notes import notes, versions
from tests import ROOT

CHANGELOG = """# Changelog

## [Unreleased]

### Added

- A thing that is not out yet.

## [0.2.0] - 2030-01-31

### Fixed

- A fault.

## [0.1.0] - 2030-01-01

- The first.
"""


def test_the_notes_of_a_release_are_its_part_of_the_changelog() -> None:
    assert notes(CHANGELOG, "0.2.0") == "### Fixed\n\n- A fault."
    assert notes(CHANGELOG, "0.1.0") == "- The first."
    with pytest.raises(ValueError, match=r"no part for 0\.3\.0"):
        notes(CHANGELOG, "0.3.0")


def test_everything_that_has_a_version_has_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = versions()
    assert set(found.values()) == {project["version"]}
    assert len(found) == 4


def test_layers_are_read_as_docker_and_podman_print_them() -> None:
    lines = [
        "196 MB\t/bin/sh",
        "0B\t/bin/sh -c #(nop)  WORKDIR /app",
        "219MB\tCOPY /opt/scriptorium /opt/scriptorium # buildkit",
        "22.8 MB\t/bin/sh -c --mount=type=bind,from=wheel pip install   /wheels/*.whl",
    ]
    found = list(layers(lines))
    assert found == [
        Layer(196_000_000, "base image"),
        Layer(219_000_000, "COPY /opt/scriptorium /opt/scriptorium # buildkit"),
        Layer(22_800_000, "pip install /wheels/*.whl"),
    ]
    assert table("one:1", found).splitlines()[0] == "   437.8 MB  one:1"
    with pytest.raises(ValueError, match="no size"):
        list(layers(["many\tRUN it"]))


def test_every_pin_that_pip_finds_no_wheel_for_is_told() -> None:
    def ask(wanted: Sequence[str]) -> str:
        absent = [pin for pin in wanted if pin in ("b==2", "d==4")]
        return f"ERROR: No matching distribution found for {absent[0]}\n" if absent else ""

    assert without_wheel(["a==1", "b==2", "c==3", "d==4"], ask) == ["b==2", "d==4"]
    with pytest.raises(RuntimeError, match="no network"):
        without_wheel(["a==1"], lambda wanted: "no network")


def test_all_pins_of_a_lock_are_asked_for() -> None:
    for file in LOCKS.glob("*.txt"):
        text = file.read_text(encoding="utf-8")
        assert len(pins(text)) == len(re.findall("==", text)) > 50

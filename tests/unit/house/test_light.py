"""The light installation: what is in it, and what its run of tests says of what is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.light import LEFT_OUT, absent_library
from tests.unit.deployment.test_dockerfile import MODEL_LIBRARIES, PROJECT, closure

ABSENT = "import tests.light\ntests.light.ABSENT = frozenset({'not_here', 'nor_this'})\n"
FILES = {
    "conftest.py": ABSENT,
    "test_file.py": "import not_here\ndef test_one() -> None: ...\n",
    "test_parts.py": """
import pytest
@pytest.fixture
def part(): import not_here.part
def test_fixture(part) -> None: ...
def test_call() -> None:
    try:
        import nor_this
    except ImportError as error:
        raise ValueError("of another kind") from error
@pytest.mark.needs("not_here")
def test_child() -> None: assert False, "its child fails"
def test_here() -> None: ...
def test_another() -> None: import and_not_this
def test_wrong() -> None: assert False
""",
}


def test_no_model_library_is_in_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    step = re.search(r"^\$\(LIGHT_STAMP\):.*\n(?:\t.*\n)*?\t.*'\.\[([\w,]+)\]'", makefile, re.M)
    assert step
    of_extra = PROJECT["project"]["optional-dependencies"]
    lines = [line for extra in step[1].split(",") for line in of_extra[extra]]
    found = closure([*PROJECT["project"]["dependencies"], *lines], "3.11.7")
    assert {"fastapi", "hypothesis", "ruff"} <= found
    assert found & MODEL_LIBRARIES == set()
    assert {name.replace("-", "_") for name in found} & set(LEFT_OUT) == set()


def test_another_fault_than_an_absent_library_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.light.ABSENT", frozenset({"torch"}))
    assert absent_library(ModuleNotFoundError("no", name="torch.nn")) == "torch"
    assert absent_library(ModuleNotFoundError("no", name="orchestrator.gone")) is None
    assert absent_library(ImportError("cannot import name", name="torch")) is None
    assert absent_library(AssertionError("torch")) is None


@pytest.mark.slow  # a pytest of its own
def test_what_needs_an_absent_library_is_skipped_with_its_name_and_the_rest_runs(
    tmp_path: Path,
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, "-p", "tests.light", "-p", "tests.skips", "--rootdir", tmp_path, tmp_path],
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout
    assert "2 failed, 1 passed, 4 skipped" in ended.stdout
    assert "3 not_here is not installed (make install)" in ended.stdout
    assert "1 nor_this is not installed (make install)" in ended.stdout
    assert "No module named 'and_not_this'" in ended.stdout

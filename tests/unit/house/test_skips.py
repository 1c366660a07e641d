"""What was skipped is said last, with what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.skips import lines

RABBITMQ = "rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)"
BROWSER = "There is no browser (Debian: apt-get install chromium)"


def test_reasons_are_counted_and_what_to_install_is_one_command() -> None:
    assert lines([BROWSER, RABBITMQ, "Linux only", RABBITMQ]) == [
        "Tests SKIPPED: 4. This run proves less than it could.",
        f"     2 {RABBITMQ}",
        f"     1 {BROWSER}",
        "     1 Linux only",
        "To run them too: apt-get install chromium rabbitmq-server",
    ]
    assert len(lines(["Linux only"])) == 2


@pytest.mark.slow
def test_a_run_with_skips_ends_well_and_says_so_also_of_other_processes(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        f"@pytest.mark.skipif(True, reason={BROWSER!r})\n"
        "def test_one() -> None: ...\n"
        f"def test_two() -> None: pytest.skip({RABBITMQ!r})\n"
        "def test_three() -> None: ...\n"
    )
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider"]
    plugins = ["-p", "xdist", "-p", "tests.skips"]
    done = subprocess.run(
        [*command, *plugins, "--numprocesses=1", "--rootdir", tmp_path, tmp_path],
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # others take ten seconds
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-5:-1] == lines([BROWSER, RABBITMQ])

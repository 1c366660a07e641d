"""Prometheus' own tool, which reads alert rules and plays them.

pip does not bring it. On Debian it is in the package prometheus; without root, unpacked:
`apt-get download prometheus && dpkg-deb -x prometheus_*.deb build/prometheus`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

REQUIRED = os.environ.get("SCRIPTORIUM_TEST_PROMTOOL") == "required"
UNPACKED = ROOT / "build" / "prometheus" / "usr" / "bin"
PROMTOOL = shutil.which("promtool", path=f"{os.environ.get('PATH', '')}:{UNPACKED}")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None and not REQUIRED,
    reason="promtool is not installed (Debian: apt-get install prometheus)",
)


def promtool(*arguments: str | Path) -> str:
    """What it says. Fails the test with that if it is not content."""
    ended = _run(*arguments)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def promtool_fault(*arguments: str | Path) -> str:
    """What it is not content with; empty: nothing."""
    ended = _run(*arguments)
    return ended.stdout if ended.returncode else ""


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL, "promtool is required here, and not installed"
    return subprocess.run(
        [PROMTOOL, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

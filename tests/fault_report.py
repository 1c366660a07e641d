"""The report of `make faults`: what was injected, what was checked, and how it ended.

As a plugin of pytest (`-p tests.fault_report --fault-report FILE`) it collects the tests that are
marked `fault(injected, holds)`; as a program it makes `docs/faults.md` of them:

    python -m tests.fault_report FILE docs/faults.md
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine import describe_machine

INTRODUCTION = """# Faults

What `make faults` injects into real clusters (real Redis, real worker processes, a real object
store), and what it then finds. This page is generated from its report; a short part of it is in
`make test`. [reliability.md](reliability.md) says why it holds.

"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file of the report."""
    parser.addoption("--fault-report", type=Path, required=True, metavar="FILE")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to collect."""
    config.pluginmanager.register(FaultReport(config.getoption("fault_report")))


class FaultReport:
    """Collects the marked tests of one run, and writes them as JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._faults: dict[str, tuple[str, str]] = {}  # by test: injected, what must hold
        self._rows: list[dict[str, Any]] = []
        self._left_out = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the marked tests that this run leaves out."""
        self._left_out += sum(item.get_closest_marker("fault") is not None for item in items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Read the marks of the tests that will run."""
        for item in session.items:
            marker = item.get_closest_marker("fault")
            if marker is not None:
                self._faults[item.nodeid] = marker.args

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a marked test ended."""
        if report.nodeid not in self._faults or not (report.when == "call" or report.failed):
            return
        injected, holds = self._faults[report.nodeid]
        self._rows.append(
            {
                "test": report.nodeid,
                "injected": injected,
                "holds": holds,
                "outcome": report.outcome,
                "seconds": round(report.duration, 1),
                "figures": [text for name, text in report.user_properties if name == "figure"],
            }
        )

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        report = {
            "machine": describe_machine(),
            "date": time.strftime("%Y-%m-%d"),
            "left_out": self._left_out,
            "faults": self._rows,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def page(report: dict[str, Any]) -> str:
    """Return the report as a page of documentation."""
    rows = report["faults"]
    machine = "{cpu}, {cores} cores, {memory}, Python {python}".format(**report["machine"])
    held = sum(row["outcome"] == "passed" for row in rows)
    lines = [
        f"{report['date']}, {machine}: {held} of {len(rows)} held; "
        f"{report['left_out']} other tests were not part of this run.",
        "",
        "| injected | what must hold | held | figures | seconds |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            row["injected"],
            row["holds"],
            "yes" if row["outcome"] == "passed" else row["outcome"],
            "; ".join(row["figures"]),
            str(round(row["seconds"])),
        ]
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return INTRODUCTION + "\n".join(lines) + "\n"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(page(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")

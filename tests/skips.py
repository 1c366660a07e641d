"""The last words of a run: how many tests were skipped, for what, and what would bring them back.

A skip's reason says in brackets how to mend it: `... is not installed (Debian: apt-get install X)`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

INSTALL = re.compile(r"apt-get install ([\w.+-]+)")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Write it after pytest's own lists, if a test was skipped."""
    yield
    reasons = [reason_of(report) for report in terminalreporter.stats.get("skipped", [])]
    if reasons:
        terminalreporter.section("skipped", yellow=True)
        for line in lines(reasons):
            terminalreporter.write_line(line, yellow=True)


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test or a file was skipped; pytest gives (path, line, `Skipped: reason`)."""
    *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("unknown",)
    return str(reason).removeprefix("Skipped: ")


def lines(reasons: list[str]) -> list[str]:
    """What to write for these reasons, one for each skipped test."""
    packages = sorted({name for reason in reasons for name in INSTALL.findall(reason)})
    told = [f"Tests SKIPPED: {len(reasons)}. This run proves less than it could."]
    told += [f"  {number:4} {reason}" for reason, number in Counter(reasons).most_common()]
    if packages:
        told.append(f"To run them too: apt-get install {' '.join(packages)}")
    return told

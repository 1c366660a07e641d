"""Tests leave the clock of their process alone: threads of other tests run in it too."""

from __future__ import annotations

import re

import pytest

from tests import ROOT

# A thread that calls a sleep which does not sleep spins, and is counted as the test's own; one that
# reads a clock which stands still waits for ever.
REPLACED = re.compile(
    r"setattr\(\s*(time,\s*[\"']|[\"']([\w.]+\.)?time\.)(sleep|monotonic|perf_counter)\b"
)


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr(time, "sleep", naps.append)',
        'monkeypatch.setattr("tenacity.nap.time.sleep", naps.append)',
        'monkeypatch.setattr("time.monotonic", lambda: now[0])',
    ],
)
def test_a_replaced_clock_of_the_process_is_found(line: str) -> None:
    assert REPLACED.search(line)


def test_a_test_replaces_sleep_and_monotonic_in_one_module_alone() -> None:
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "test_clocks.py"]
    found = [str(path.relative_to(ROOT)) for path in files if REPLACED.search(path.read_text())]
    assert not found, "replace the name in the module under test, such as `module.sleep`"

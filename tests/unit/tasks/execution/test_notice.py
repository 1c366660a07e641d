"""How long units may go on after the signal. The rest needs processes: `test_preemption.py`."""

from __future__ import annotations

import pytest

from tasks.execution.notice import HAND_BACK_SECONDS, working_seconds


@pytest.mark.parametrize(
    ("notice", "working"),
    [(120.0, 120.0 - HAND_BACK_SECONDS), (30.0, 30.0 - HAND_BACK_SECONDS), (4.0, 2.0), (0.2, 0.1)],
)
def test_units_are_handed_back_before_the_notice_has_run_out(notice: float, working: float) -> None:
    assert working_seconds(notice) == pytest.approx(working)

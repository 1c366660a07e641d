"""An idle worker takes its messages in turn with the others."""

from __future__ import annotations

import pytest

from tasks.ramp import STEP_SECONDS, Ramp


def test_an_idle_worker_takes_one_message_at_once_and_each_further_one_a_step_later() -> None:
    ramp = Ramp()
    assert ramp.wait(0, 100.0) == 0
    assert ramp.wait(1, 100.0) == pytest.approx(STEP_SECONDS)
    assert ramp.wait(1, 100.0 + STEP_SECONDS) == 0
    assert ramp.wait(2, 100.0 + STEP_SECONDS) == pytest.approx(STEP_SECONDS)


def test_a_worker_that_was_busy_for_long_takes_the_next_message_at_once() -> None:
    ramp = Ramp()
    ramp.wait(0, 100.0)
    assert [ramp.wait(held, 101.0) for held in range(1, 6)] == [0] * 5


def test_an_idle_worker_begins_again_with_one() -> None:
    ramp = Ramp()
    ramp.wait(0, 100.0)
    ramp.wait(0, 200.0)
    assert ramp.wait(1, 200.0) == pytest.approx(STEP_SECONDS)

"""A duty runs beside the loop: now and then, one at a time, and its faults stay its own."""

from __future__ import annotations

import threading

import pytest
from redis.exceptions import ConnectionError as RedisAway
from structlog.testing import capture_logs

from orchestrator.reconciler.duty import FAULT_SECONDS, SLOW_SECONDS, Duty
from orchestrator.reconciler.leading import LeadLost
from tests.eventually import PATIENCE_SECONDS
from tests.unit.orchestrator.reconciler.passes import Clock


class Work:
    """Counts how often it was done, and ends as it is told to."""

    def __init__(self) -> None:
        self.times = 0
        self.fault: Exception | None = None

    def __call__(self) -> None:
        self.times += 1
        if self.fault is not None:
            raise self.fault


def turn(duty: Duty) -> None:
    """What the loop does at a pass, and then the end of the work."""
    duty.start_if_due()
    duty.join(PATIENCE_SECONDS)


def test_it_is_done_at_once_and_then_now_and_then(clock: Clock) -> None:
    work = Work()
    duty = Duty("audit", work, 60.0, clock)
    turn(duty)
    clock.now += 59.0
    turn(duty)
    assert work.times == 1
    clock.now += 1.0
    turn(duty)
    assert work.times == 2
    duty.hurry()
    turn(duty)
    assert work.times == 3


@pytest.mark.parametrize(
    ("fault", "events", "pause"),
    [
        (RedisAway("it is away"), ["duty_waits"], FAULT_SECONDS),
        (ZeroDivisionError("a bug"), ["duty_failed"] * 2, FAULT_SECONDS),
        (LeadLost(), [], 0.0),
    ],
)
def test_a_fault_is_told_with_the_duty_s_name_and_tried_again(
    clock: Clock, fault: Exception, events: list[str], pause: float
) -> None:
    work = Work()
    work.fault = fault
    duty = Duty("audit", work, 60.0, clock)
    with capture_logs() as lines:
        turn(duty)
        clock.now += pause
        turn(duty)
        assert work.times == 2
        work.fault = None
        clock.now += pause
        turn(duty)
    assert [line["event"] for line in lines] == events
    assert {line["duty"] for line in lines} <= {"audit"}
    clock.now += 59.0
    turn(duty)
    assert work.times == 3


def test_it_never_runs_twice_at_once_and_says_that_it_is_slow(clock: Clock) -> None:
    over, times = threading.Event(), []

    def hang() -> None:
        times.append(1)
        over.wait()

    duty = Duty("deletions", hang, 1.0, clock)
    with capture_logs() as lines:
        duty.start_if_due()
        clock.now += SLOW_SECONDS
        for _ in range(3):
            duty.start_if_due()
    assert [(line["event"], line["duty"]) for line in lines] == [("duty_slow", "deletions")]
    over.set()
    duty.join(PATIENCE_SECONDS)
    assert times == [1]

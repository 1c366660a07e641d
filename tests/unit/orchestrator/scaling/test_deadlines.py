"""Capacity for work that has a `ready_by`: enough for every deadline, and no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orchestrator.scaling.deadlines import (
    LATE_SECONDS,
    Due,
    is_crowded,
    joined,
    needed_at_once,
)
from tasks.runs.deadline import MARGIN_SECONDS

NOW = 1_700_000_000.0
HOUR = 3600.0


def due(hours: float, work_hours: float) -> Due:
    return Due(NOW + MARGIN_SECONDS + hours * HOUR, work_hours * HOUR)


def test_work_that_is_due_late_needs_few_at_once() -> None:
    assert needed_at_once([due(8, 8)], NOW) == pytest.approx(1.0)
    assert needed_at_once([due(1, 8)], NOW) == pytest.approx(8.0)
    assert needed_at_once([], NOW) == 0.0


def test_the_hardest_deadline_counts_with_all_that_is_due_before() -> None:
    first, second, third = due(1, 1), due(2, 5), due(10, 1)
    assert needed_at_once([third, first, second], NOW) == pytest.approx(3.0)
    assert needed_at_once([first, third], NOW) == pytest.approx(1.0)


def test_what_is_late_is_to_be_done_in_minutes_and_not_at_once() -> None:
    late = Due(NOW - HOUR, HOUR)
    assert needed_at_once([late], NOW) == pytest.approx(HOUR / LATE_SECONDS)


work = some.builds(
    Due,
    some.floats(NOW - 1e5, NOW + 1e6).map(lambda at: round(at, 1)),
    some.floats(0.1, 1e6),
)


@given(some.lists(work, max_size=30))
def test_with_what_is_needed_every_deadline_is_met(items: list[Due]) -> None:
    """Earliest deadline first, with that many at once."""
    at_once, done_at = needed_at_once(items, NOW), NOW
    for one in sorted(items, key=lambda it: it.ready_by):
        done_at += one.work_seconds / at_once
        assert done_at <= max(one.ready_by - MARGIN_SECONDS, NOW + LATE_SECONDS) + 1e-2


@given(some.lists(work, max_size=30))
def test_deadlines_of_a_minute_taken_together_never_ask_for_less_work(items: list[Due]) -> None:
    together = joined(items)
    total = sum(one.work_seconds for one in items)
    assert sum(one.work_seconds for one in together) == pytest.approx(total)
    assert needed_at_once(together, NOW) >= needed_at_once(items, NOW) * (1 - 1e-9)


def test_a_fleet_is_crowded_when_half_of_its_largest_size_cannot_do_what_is_due() -> None:
    items = [Due(NOW + HOUR, 10 * HOUR)]
    assert is_crowded(items, NOW, 19)
    assert not is_crowded(items, NOW, 20)

"""A collection at one moment: its counts, its progress, its status, its estimate."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.collections.description import RoundFacts, describe
from orchestrator.collections.records import Collection
from orchestrator.collections.states import State

RECORD = Collection(tenant="default", id="c-1", created_at=100.0, name="may", lines=10)


def shown(letters: str, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "number": 1, "lines": 10, "undone": frozenset(), "began_at": 100.0, "ended_at": None,
        "is_canceled": False,
    }  # fmt: skip
    facts = RoundFacts(**given | changes)
    states = [State(number, letter) for number, letter in enumerate(letters, 1)]
    return describe(RECORD, facts, states, 160.0)


def test_lines_that_have_ended_are_the_progress() -> None:
    found = shown("ccfnqr")
    assert {name: it for name, it in found["counts"].items() if it} == {
        "total": 10, "waiting": 4, "queued": 1, "processing": 1, "completed": 2, "failed": 1,
        "refused": 1,
    }  # fmt: skip
    assert (found["status"], found["progress"]) == ("processing", 0.4)
    assert found["eta_seconds"] == 90.0  # 60 s for four lines, six are left


def test_a_line_that_is_retried_is_not_counted_twice() -> None:
    """Its job may have begun since it was read which lines wait."""
    found = shown("ccccccccqf", number=2, lines=2, undone=frozenset({9, 10}))
    assert found["progress"] == 0.8
    assert found["counts"]["failed"] == 1
    later = shown("cccccccccf", number=2, lines=2, undone=frozenset({10}))
    assert (later["progress"], later["eta_seconds"]) == (0.9, 60.0)


@pytest.mark.parametrize(
    ("letters", "changes", "status"),
    [
        ("", {}, "queued"),
        ("qqq", {}, "queued"),
        ("???", {}, "queued"),
        ("cccccccccr", {}, "processing"),
        ("cccccccccc", {"ended_at": 150.0}, "completed"),
        ("cccccccccp", {"ended_at": 150.0}, "partial"),
        ("cccccccccn", {"ended_at": 150.0}, "partial"),
        ("ffffffffnn", {"ended_at": 150.0}, "failed"),
        ("ccccccccdd", {"ended_at": 150.0}, "completed"),
        ("ccccccccxx", {"ended_at": 150.0, "is_canceled": True}, "canceled"),
        ("cccccccccq", {"ended_at": 150.0}, "processing"),  # retried by itself
    ],
)
def test_the_status_follows_from_the_lines(
    letters: str, changes: dict[str, Any], status: str
) -> None:
    assert shown(letters, **changes)["status"] == status

"""Workers that share a card divide its time and its energy among them."""

from __future__ import annotations

import pytest

from tasks.execution import card_users
from tasks.execution.card_users import note_users, own_joules, own_seconds


def test_the_part_of_a_worker_is_counted_by_the_users_of_its_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joules = [0.0, 100.0, 200.0]
    monkeypatch.setattr(card_users, "used_joules", lambda wanted: joules.pop(0))
    monkeypatch.setattr(card_users, "_users", [1])
    own = own_joules("cuda")
    assert (own(), own()) == (0.0, 100.0)  # no other one is known
    note_users(2)
    assert own() == 150.0


def test_the_time_of_a_card_is_counted_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two processes that take turns on a card is twice as long at its units."""
    times = [50.0, 60.0, 70.0]
    monkeypatch.setattr(card_users, "perf_counter", lambda: times.pop(0))
    monkeypatch.setattr(card_users, "_users", [1])
    own = own_seconds()
    assert (own(), own()) == (0.0, 10.0)
    note_users(2)
    assert own() == 15.0

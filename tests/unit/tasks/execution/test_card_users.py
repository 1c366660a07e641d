"""Workers that share a card divide its energy among them."""

from __future__ import annotations

import pytest

from tasks.execution import card_users
from tasks.execution.card_users import note_users, own_joules


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

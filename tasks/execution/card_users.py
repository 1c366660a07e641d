"""How many workers are busy on this worker's card, and so its part of what the card uses."""

from __future__ import annotations

from functools import partial

from gpu_worker.devices.card import used_joules
from gpu_worker.devices.metering import OwnJoules

_users = [1]  # this worker itself, until the worker's presence tells more


def note_users(count: int) -> None:
    """Note how many workers are busy on the card, this one counted."""
    _users[0] = count


def users_of_card() -> int:
    """Return how many workers are busy on the card."""
    return _users[0]


def own_joules(wanted: str) -> OwnJoules:
    """Return the counter of this worker's part of what its card uses; `wanted`: its device."""
    return OwnJoules(partial(used_joules, wanted), users_of_card)

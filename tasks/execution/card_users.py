"""How many workers are busy on this worker's card, and so its part of the card's use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter

from gpu_worker.devices.card import used_joules
from gpu_worker.devices.metering import OwnPart

_users = [1]  # this worker itself, until the worker's presence tells more


def note_users(count: int) -> None:
    """Note how many workers are busy on the card, this one counted."""
    _users[0] = count


def users_of_card() -> int:
    """Return how many workers are busy on the card."""
    return _users[0]


def own_joules(wanted: str) -> OwnPart:
    """Return the counter of this worker's part of what its card uses; `wanted`: its device."""
    return OwnPart(partial(used_joules, wanted), users_of_card)


def own_seconds() -> Callable[[], float]:
    """Return the counter of this worker's part of its card's time."""
    part = OwnPart(perf_counter, users_of_card)
    return lambda: part() or 0.0

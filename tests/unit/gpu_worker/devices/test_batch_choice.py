"""Which items the next batch has, and how many: whole batches alone, short ones in company."""

from __future__ import annotations

import pytest

from gpu_worker.devices.batch_choice import BatchChoice
from gpu_worker.devices.owners import PRESENT_SECONDS
from gpu_worker.devices.requests import Place, Request, Standing
from gpu_worker.devices.turns import NO_TURNS

EACH = 0.1  # seconds


def request(
    owner: str, items: int, *, key: str = "k", largest: int = 6, is_urgent: bool = False
) -> Request:
    return Request(key, range(items), largest, lambda: None, NO_TURNS, Standing(owner, is_urgent))


class Rounds:
    """Runs batches on a device without a fixed part, by a clock of its own."""

    def __init__(self, *, owners_apart: bool = True) -> None:
        self.choice = BatchChoice(owners_apart=owners_apart)
        self.now = 0.0

    def batch(self, requests: list[Request]) -> list[str]:
        """Run the next batch, and return the owner of each of its items."""
        found, size = self.choice.compatible(requests, self.now)
        places: list[Place] = []
        for each in found:
            count = min(each.left, size - len(places))
            places += [(each, each.taken + index) for index in range(count)]
            each.taken += count
        self.choice.taken(places)
        seconds = EACH * len(places)
        self.now += seconds
        self.choice.took(places[0][0], len(places), seconds)
        return [each.standing.owner for each, _ in places]


def test_one_owner_alone_has_whole_batches() -> None:
    rounds = Rounds()
    flood = [request("a", 60)]
    assert [len(rounds.batch(flood)) for _ in range(10)] == [6] * 10


@pytest.mark.parametrize("owners_apart", [True, False])
def test_two_owners_have_short_batches_and_after_a_quiet_minute_they_are_whole_again(
    owners_apart: bool,
) -> None:
    rounds = Rounds(owners_apart=owners_apart)
    flood = request("a", 6000)
    for _ in range(3):
        rounds.batch([flood])
    guest = request("b", 1)
    assert "b" in rounds.batch([flood, guest])
    assert {len(rounds.batch([flood])) for _ in range(20)} == {1}
    rounds.now += PRESENT_SECONDS + 1
    assert {len(rounds.batch([flood])) for _ in range(20)} == {6}


def test_a_newcomer_is_next_however_many_batches_an_older_request_needs() -> None:
    for owners_apart in (True, False):
        rounds = Rounds(owners_apart=owners_apart)
        flood = [request("a", 100) for _ in range(6)]
        rounds.batch(flood)
        assert rounds.batch([*flood, request("b", 1)])[0] == "b"


def test_owners_with_many_items_take_batches_in_turn() -> None:
    rounds = Rounds()
    waiting = [request(owner, 100) for owner in "aabbcc"]
    order = "".join(rounds.batch(waiting)[0] for _ in range(9))
    assert order == "abcabcabc"


def test_urgent_items_go_first_whoever_was_served_last() -> None:
    rounds = Rounds()
    waiting = [request("a", 100), request("b", 100, is_urgent=True)]
    assert [rounds.batch(waiting)[0] for _ in range(3)] == ["b"] * 3


def test_a_batch_has_items_of_one_kind() -> None:
    choice = BatchChoice()
    first, other, third = request("a", 1), request("b", 1, key="o"), request("c", 1)
    assert choice.compatible([first, other, third], 0.0)[0] == [first, third]
    assert choice.compatible([first, request("a", 1, largest=1)], 0.0)[0] == [first]


def test_the_memory_of_the_device_bounds_whole_batches_too() -> None:
    choice = BatchChoice()
    choice.size.refused(8)
    assert choice.compatible([request("a", 60)], 0.0)[1] == 4

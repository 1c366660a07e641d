"""Owners share a model as long as they were here within a minute."""

from __future__ import annotations

from gpu_worker.devices.owners import PRESENT_SECONDS, Owners


def test_one_owner_is_alone() -> None:
    owners = Owners()
    assert not owners.are_several
    owners.seen({"a"}, 0.0)
    owners.seen({"a"}, 1000.0)
    assert not owners.are_several


def test_two_owners_share_for_a_minute_after_the_last_item_of_one() -> None:
    owners = Owners()
    owners.seen({"a", "b"}, 0.0)
    owners.seen({"a"}, PRESENT_SECONDS)
    assert owners.are_several
    owners.seen({"a"}, PRESENT_SECONDS + 1)
    assert not owners.are_several


def test_the_owner_that_was_served_longest_ago_is_known() -> None:
    owners = Owners()
    owners.seen({"a", "b", "c"}, 0.0)
    for served in ("a", "b", "a"):
        owners.served({served})
    assert sorted("abc", key=owners.last_batch) == ["c", "b", "a"]


def test_what_was_not_here_for_long_is_forgotten() -> None:
    owners = Owners()
    for number in range(1000):
        owners.seen({f"tenant{number}"}, 100.0 * number)
        owners.served({f"tenant{number}"})
    assert owners.last_batch("tenant5") == 0 and owners.last_batch("tenant999") > 0

"""Which runs get a thread of the courier next."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.outbox.waiting import (
    KEPT_FREE,
    QUICK_THREADS,
    THREADS,
    Destination,
    Waiting,
    part_of_free,
)
from tasks.runs.units import Run


def runs(tenant: str, count: int) -> list[Run]:
    return [Run(tenant, f"job-{number}", 1) for number in range(count)]


def begun(waiting: Waiting, receivers: dict[Run, str]) -> list[Run]:
    """Hand out threads until no run may begin, as the courier does; those that have one."""
    found: list[Run] = []
    while (turn := waiting.next()) is not None:
        run, destination = turn
        if destination is not None or waiting.enter(run, Destination(run.tenant, receivers[run])):
            found.append(run)
    return found


def admitted(waiting: Waiting, *groups: list[Run]) -> None:
    for group in groups:
        assert all(map(waiting.admit, group))


def test_a_receiver_that_is_not_known_to_be_quick_has_one_thread() -> None:
    waiting, some = Waiting(), runs("a", 10)
    admitted(waiting, some)
    assert begun(waiting, dict.fromkeys(some, "silent")) == some[:1]


def test_the_runs_of_a_receiver_keep_their_order() -> None:
    waiting, some = Waiting(), runs("a", 10)
    admitted(waiting, some)
    receivers = dict.fromkeys(some, "one")
    order = []
    for _ in some:
        (run,) = begun(waiting, receivers)
        order.append(run)
        waiting.leave(run)
    assert order == some
    assert begun(waiting, receivers) == [] and len(waiting) == 0


def test_a_receiver_that_answers_quickly_has_more_threads_until_it_is_slow() -> None:
    waiting, some = Waiting(), runs("a", 10)
    admitted(waiting, some)
    destination = Destination("a", "one")
    waiting.judge(destination, is_quick=True)
    assert len(begun(waiting, dict.fromkeys(some, "one"))) == QUICK_THREADS
    waiting.judge(destination, is_quick=False)
    for run in some[:QUICK_THREADS]:
        waiting.leave(run)
    assert len(begun(waiting, dict.fromkeys(some, "one"))) == 1


@pytest.mark.parametrize("tenants", [1, 2, 5, 20])
def test_tenants_with_many_silent_receivers_leave_threads_to_others(tenants: int) -> None:
    waiting = Waiting()
    silent = [run for number in range(tenants) for run in runs(f"t{number}", 40)]
    admitted(waiting, silent)
    receivers = {run: f"{run.tenant}-{run.job}" for run in silent}
    threads = Counter(run.tenant for run in begun(waiting, receivers))
    assert len(threads) == tenants and max(threads.values()) - min(threads.values()) <= 1
    assert threads.total() < THREADS - KEPT_FREE
    other = runs("b", 1)
    admitted(waiting, other)
    assert begun(waiting, {other[0]: "new"}) == other


def test_threads_are_kept_for_receivers_that_answer_however_many_do_not() -> None:
    waiting = Waiting()
    waiting.judge(Destination("b", "good"), is_quick=True)
    silent = [run for number in range(100) for run in runs(f"t{number}", 1)]
    admitted(waiting, silent)
    assert len(begun(waiting, {run: run.tenant for run in silent})) == THREADS - KEPT_FREE
    other = runs("b", 1)
    admitted(waiting, other)
    assert begun(waiting, {other[0]: "good"}) == other


def test_a_good_receiver_passes_its_own_tenant_s_silent_ones() -> None:
    waiting, some = Waiting(), runs("a", 100)
    waiting.judge(Destination("a", "good"), is_quick=True)
    admitted(waiting, some)
    receivers = {run: run.job for run in some[:99]} | {some[99]: "good"}
    assert begun(waiting, receivers)[-1] == some[99]


def test_a_tenant_with_very_many_runs_leaves_room_for_those_of_others() -> None:
    waiting = Waiting(most=100)
    taken = [run for run in runs("a", 1000) if waiting.admit(run)]
    assert 10 < len(taken) < 50
    assert waiting.admit(taken[0])  # it is here already
    for number in range(40):
        assert waiting.admit(Run(f"t{number}", "job", 1))


def test_what_waits_is_forgotten_at_the_end_and_what_is_busy_is_not() -> None:
    waiting, some = Waiting(), runs("a", 10)
    admitted(waiting, some)
    busy = begun(waiting, dict.fromkeys(some, "one"))
    assert sorted([*waiting.drop_idle(), *busy], key=lambda run: run.name) == some
    assert list(waiting) == busy
    waiting.leave(busy[0])
    assert list(waiting) == []


def test_a_run_that_owes_a_second_delivery_goes_first() -> None:
    waiting, some = Waiting(threads=1), runs("a", 3)
    admitted(waiting, some)
    assert waiting.next() == (some[0], None)
    assert waiting.enter(some[0], Destination("a", "bucket"))
    assert waiting.next() is None
    waiting.again(some[0])
    assert waiting.next() == (some[0], None)


@pytest.mark.parametrize(("free", "part", "expected"), [(32, 4, 8), (5, 8, 1), (0, 4, 1)])
def test_a_share_is_a_part_of_what_is_free(free: int, part: int, expected: int) -> None:
    assert part_of_free(free, part) == expected

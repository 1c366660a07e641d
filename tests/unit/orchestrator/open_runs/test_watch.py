"""Every run is looked at; of very many a part at a time, or when its turn in a queue has passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from orchestrator.cluster.turns import MARGIN_SECONDS
from orchestrator.open_runs.watch import SLEEP_SECONDS, Watch
from tasks.runs.units import Run
from tests.inputs.examples import a_run

GRACE = 5.0
RUNS = [a_run(job=f"job-{number}") for number in range(6)]
QUEUE = frozenset({"transcribe.bulk"})


class Passes:
    """Passes of a watch, each at a time of its own; a run needs 10 units."""

    def __init__(self, units: int = 20, queues: frozenset[str] | None = None) -> None:
        self.watch = Watch(GRACE, units)
        self.queues = queues
        self.receipts = dict.fromkeys(RUNS, 1)
        self.now = 1000.0

    def __call__(
        self, firsts: Mapping[str, float] = {}, runs: Sequence[Run] = RUNS, after: float = GRACE
    ) -> list[int]:
        self.now += after
        found = self.watch.choose(runs, self.receipts, lambda _: 10, firsts, self.now)
        for run in found:
            self.watch.waits_in(run, self.queues)
        return [RUNS.index(run) for run in found]


def test_all_are_looked_at_at_each_pass_where_they_fit() -> None:
    passes = Passes(units=100)
    assert [passes() for _ in range(8)] == [list(range(6))] * 8
    assert not passes.watch.is_partial


def test_a_part_is_watched_for_the_looks_that_finding_takes_and_then_the_next() -> None:
    passes = Passes()
    assert [passes() for _ in range(10)] == [[0, 1]] * 3 + [[2, 3]] * 3 + [[4, 5]] * 3 + [[0, 1]]
    assert passes.watch.is_partial


def test_a_run_that_needs_more_than_all_places_is_looked_at_alone() -> None:
    passes = Passes(units=5)
    assert [passes() for _ in range(6)] == [[0]] * 3 + [[1]] * 3


def test_a_run_that_ended_gives_its_place_away() -> None:
    passes = Passes()
    assert passes() == [0, 1]
    assert passes(runs=RUNS[1:]) == [1, 2]


def test_a_run_whose_records_were_not_read_in_time_waits_for_its_turn() -> None:
    passes = Passes()
    assert passes() == [0, 1]
    passes.watch.drop(RUNS[0])
    assert passes() == [1, 2]


def asleep() -> Passes:
    """All runs sleep: their messages wait in a long queue, whose first one is old."""
    passes = Passes(queues=QUEUE)
    assert passes({"transcribe.bulk": 500.0}) == [0, 1]
    assert passes({"transcribe.bulk": 500.0}) == [2, 3]  # one look at each is enough
    assert passes({"transcribe.bulk": 500.0}) == [4, 5]
    assert passes({"transcribe.bulk": 500.0}) == []
    return passes


def test_runs_sleep_while_their_messages_wait_in_a_long_queue() -> None:
    passes = asleep()
    assert [passes({"transcribe.bulk": 500.0}) for _ in range(5)] == [[]] * 5
    assert passes.watch.is_partial


def test_a_run_that_changes_is_looked_at_again() -> None:
    passes = asleep()
    passes.receipts[RUNS[3]] += 1
    assert passes({"transcribe.bulk": 500.0}) == [3]


def test_all_wake_once_their_queue_can_be_read() -> None:
    passes = asleep()
    assert len(passes({})) == 2


def test_all_wake_now_and_then() -> None:
    passes = asleep()
    assert len(passes({"transcribe.bulk": 500.0}, after=SLEEP_SECONDS)) == 2


def test_a_run_wakes_once_its_turn_has_passed_by_more_than_clocks_differ() -> None:
    passes = asleep()
    slept_at = 1000.0 + 2 * GRACE  # of the first two
    assert passes({"transcribe.bulk": slept_at + MARGIN_SECONDS}) == []
    assert passes({"transcribe.bulk": slept_at + MARGIN_SECONDS + 1}) == [0, 1]


@pytest.mark.parametrize("queues", [None, frozenset[str](), frozenset({"align.bulk"})])
def test_what_is_worked_on_or_waits_in_a_short_queue_does_not_sleep(
    queues: frozenset[str] | None,
) -> None:
    passes = Passes(queues=queues)
    seen = [tuple(passes({"transcribe.bulk": 500.0})) for _ in range(10)]
    assert seen[9] == (0, 1)

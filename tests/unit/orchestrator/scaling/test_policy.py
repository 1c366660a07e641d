"""How many workers: up at once, kept while they work, and down when a load has left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from pydantic import TypeAdapter

from orchestrator.scaling.deadlines import Due
from orchestrator.scaling.policy import (
    KEPT_TIMES,
    SAMPLE_SECONDS,
    Load,
    Recommendation,
    StageLoad,
    recommend,
    required_workers,
)
from orchestrator.scaling.pools import WorkerPool
from tasks.runs.stages import Stage

BEGAN = 1_700_000_000.0
PASS_SECONDS = 2.0  # between the reconciler's


def a_pool(**fields: Any) -> WorkerPool:
    return WorkerPool(**{"name": "gpu", "maximum": 100, "target_drain_seconds": 60.0, **fields})


def a_load(waiting: int = 0, in_flight: int = 0, chunk: float = 300.0, speed: float = 10.0) -> Load:
    """Chunks to transcribe; each takes 30 s."""
    units = waiting + in_flight
    if not units:
        return Load({})
    return Load({Stage.TRANSCRIBE: StageLoad(units * chunk, speed, units, in_flight)})


def decided(
    loads: Sequence[Load], pool: WorkerPool, every: float = PASS_SECONDS
) -> tuple[list[int], tuple[Recommendation, ...]]:
    """Every decision, and what is remembered at the end."""
    kept: tuple[Recommendation, ...] = ()
    numbers = []
    for step, load in enumerate(loads):
        workers, kept = recommend(load, pool, kept, BEGAN + step * every)
        numbers.append(workers)
    return numbers, kept


def test_as_many_are_required_as_drain_the_backlog_in_time() -> None:
    assert required_workers(a_load(20), a_pool()) == 10  # 600 s of work in 60 s
    assert required_workers(a_load(20), a_pool(target_drain_seconds=600.0)) == 1
    assert required_workers(a_load(20, speed=20.0), a_pool()) == 5
    assert required_workers(a_load(20), a_pool(share=0.5)) == 5


def test_work_that_has_time_calls_for_few_workers_and_other_work_for_as_many_as_ever() -> None:
    """600 s of work; for what has no `ready_by` they are to be done in 60 s."""
    in_hours = (Due(BEGAN + 4 * 3600.0, 300.0),)
    soon = (Due(BEGAN + 60.0, 300.0),)
    half = Load(a_load(20).stages, due=in_hours)
    assert required_workers(half, a_pool(), BEGAN) == 6  # 300 s in 60 s, and a part of one
    assert required_workers(Load(a_load(10).stages, due=in_hours), a_pool(), BEGAN) == 1
    assert required_workers(Load(a_load(10).stages, due=soon), a_pool(), BEGAN) == 1
    late = Load(a_load(200).stages, due=(Due(BEGAN, 6000.0),))
    assert required_workers(late, a_pool(), BEGAN) == 20  # 6,000 s in five minutes
    assert required_workers(late, a_pool(share=0.5, concurrency=2), BEGAN) == 5


def test_a_second_of_audio_counts_as_what_its_stage_costs() -> None:
    slow = StageLoad(3000.0, speed=10.0, units=100)  # 300 s of work
    quick = StageLoad(3000.0, speed=100.0, units=100)  # 30 s
    both = Load({Stage.TRANSCRIBE: slow, Stage.ALIGN: quick})
    assert required_workers(both, a_pool(target_drain_seconds=33.0)) == 10
    assert (both.backlog_seconds, both.units) == (6000.0, 200)


def test_there_are_never_more_workers_than_pieces_of_work() -> None:
    assert required_workers(a_load(1, chunk=36_000.0), a_pool()) == 1
    assert required_workers(a_load(7, chunk=36_000.0), a_pool(concurrency=2)) == 4


def test_the_limits_of_the_pool_hold() -> None:
    assert required_workers(a_load(1000), a_pool()) == 100
    assert required_workers(a_load(), a_pool(minimum=3)) == 3
    assert required_workers(a_load(5), a_pool(maximum=0)) == 0
    assert required_workers(a_load(), a_pool()) == 0


def test_one_worker_is_there_for_work_that_is_about_to_come() -> None:
    assert required_workers(Load({}, is_expected=True), a_pool()) == 1


def test_whoever_works_is_kept_however_little_is_left() -> None:
    """An hour would do for the last 40 chunks; but 40 workers have one each."""
    pool = a_pool(target_drain_seconds=3600.0)
    assert required_workers(a_load(40), pool) == 1
    assert required_workers(a_load(in_flight=40), pool) == 40
    assert required_workers(a_load(in_flight=40), a_pool(concurrency=4)) == 10
    assert required_workers(a_load(in_flight=40), pool.model_copy(update={"share": 0.25})) == 10


def test_up_at_once() -> None:
    assert decided([a_load(), a_load(200)], a_pool())[0] == [0, 100]


def test_down_after_a_while_in_which_fewer_were_needed() -> None:
    loads = [a_load(40), *[a_load(in_flight=4)] * 20]
    numbers, _ = decided(loads, a_pool(scale_down_seconds=30.0))
    assert numbers[:15] == [20] * 15  # 28 s after
    assert numbers[15:] == [4] * 6
    at_once, _ = decided(loads, a_pool(scale_down_seconds=0.0))
    assert at_once == [20, *[4] * 20]


def test_a_load_that_stayed_keeps_its_workers_through_a_pause() -> None:
    steady = [a_load(in_flight=20)] * 300  # ten minutes
    pause = [a_load(in_flight=8)] * 60
    pool = a_pool()
    numbers, kept = decided([*steady, *pause], pool)
    assert numbers[-1] == 20
    # Two passes in each sample, the latest, and what the hold needs: it does not grow.
    assert len(kept) < 2 * pool.steady_seconds / SAMPLE_SECONDS
    none, _ = decided([*steady, *pause], a_pool(steady_seconds=0.0))
    assert none[-1] == 8


def test_a_load_that_stayed_and_left_leaves_few_workers() -> None:
    steady = [a_load(in_flight=90)] * 300
    numbers, _ = decided([*steady, *[a_load(in_flight=2)] * 20, *[a_load()] * 20], a_pool())
    assert numbers[319] == 2 * KEPT_TIMES
    assert numbers[-1] == 0


def test_a_burst_keeps_no_workers() -> None:
    burst = [a_load(in_flight=90)] * 100  # 200 s
    numbers, _ = decided([*burst, *[a_load(in_flight=2)] * 20], a_pool())
    assert numbers[-1] == 2


def test_passes_that_are_far_apart_remember_as_well() -> None:
    loads = [*[a_load(in_flight=20)] * 40, a_load(in_flight=8), a_load(in_flight=8)]
    assert decided(loads, a_pool(), every=SAMPLE_SECONDS)[0][-1] == 20
    assert decided(loads, a_pool(), every=1000.0)[0][-1] == 8


def test_what_is_remembered_of_the_future_does_not_count() -> None:
    """Another reconciler's clock was ahead."""
    ahead = Recommendation(BEGAN + 100.0, 50, 50)
    assert recommend(a_load(), a_pool(), (ahead,), BEGAN)[0] == 0


def test_what_an_older_release_remembered_is_read() -> None:
    old = json.dumps({"at": BEGAN - 5.0, "workers": 7})
    known = TypeAdapter(Recommendation).validate_json(old)
    assert recommend(a_load(), a_pool(), (known,), BEGAN)[0] == 7


@given(
    some.lists(some.tuples(some.integers(0, 500), some.integers(0, 120)), min_size=1, max_size=80),
    some.integers(0, 5),
    some.sampled_from([0.0, 5.0, 30.0, 300.0]),
    some.sampled_from([0.0, 60.0, 600.0]),
)
def test_never_fewer_than_are_required_and_at_work_nor_outside_the_limits(
    counts: list[tuple[int, int]], minimum: int, scale_down: float, steady: float
) -> None:
    pool = a_pool(minimum=minimum, scale_down_seconds=scale_down, steady_seconds=steady)
    loads = [a_load(waiting, in_flight) for waiting, in_flight in counts]
    numbers, _ = decided(loads, pool)
    for number, load in zip(numbers, loads, strict=True):
        assert minimum <= number <= pool.maximum
        assert number >= required_workers(load, pool) >= min(load.in_flight, pool.maximum)

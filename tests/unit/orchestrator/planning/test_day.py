"""Played files wait as a queue makes them wait, and workers cost from their start to their end."""

from __future__ import annotations

import pytest

from orchestrator.planning.day import LOOK_SECONDS, play
from orchestrator.planning.demand import HOUR, Submission
from orchestrator.scaling.pools import WorkerPool

SPEED = 30.0  # 300 s of audio in 10 s


def fixed(workers: int) -> WorkerPool:
    return WorkerPool(name="gpu", minimum=workers, maximum=workers)


def test_a_file_that_finds_free_workers_does_not_wait() -> None:
    found = play([Submission(0.0, (300.0,) * 3)], fixed(3), SPEED, 90.0)
    assert found.waits.tolist() == [0.0]


def test_chunks_wait_for_each_other_where_there_is_one_worker() -> None:
    found = play([Submission(0.0, (300.0,) * 3)], fixed(1), SPEED, 90.0)
    assert found.waits.tolist() == pytest.approx([20.0])
    assert found.most_waiting == 3


def test_the_file_that_came_first_is_done_first() -> None:
    files = [Submission(0.0, (300.0,) * 4), Submission(1.0, (300.0,))]
    found = play(files, fixed(1), SPEED, 90.0)
    assert found.waits.tolist() == pytest.approx([30.0, 39.0])
    assert found.most_open == 2


def test_a_first_file_waits_until_a_worker_has_started() -> None:
    pool = WorkerPool(name="gpu", minimum=0, maximum=1)
    found = play([Submission(0.0, (300.0,))], pool, SPEED, 90.0)
    assert 90 * 2 / 3 <= found.waits[0] <= 2 * 90 + LOOK_SECONDS


def test_a_worker_costs_from_the_moment_it_is_wanted_until_nothing_is_left() -> None:
    pool = WorkerPool(name="gpu", minimum=0, maximum=1, scale_down_seconds=0.0)
    found = play([Submission(0.0, (300.0,))], pool, SPEED, 90.0)
    assert found.work_hours == pytest.approx(10 / HOUR)
    assert found.worker_hours * HOUR == pytest.approx(found.waits[0] + 10, abs=2 * LOOK_SECONDS)


def test_no_more_workers_come_than_the_pool_may_have() -> None:
    files = [Submission(0.0, (300.0,) * 100)]
    found = play(files, WorkerPool(name="gpu", minimum=0, maximum=5), SPEED, 60.0)
    assert found.waits[0] >= 100 / 5 * 10 - 10


def test_a_gap_between_files_costs_no_workers() -> None:
    pool = WorkerPool(name="gpu", minimum=0, maximum=1)
    one = play([Submission(0.0, (300.0,))], pool, SPEED, 90.0)
    two = play([Submission(0.0, (300.0,)), Submission(80_000.0, (300.0,))], pool, SPEED, 90.0)
    assert two.worker_hours == pytest.approx(2 * one.worker_hours, rel=0.6)
    assert two.waits[1] > 0


def test_what_was_before_the_count_begins_is_left_out() -> None:
    files = [Submission(0.0, (300.0,) * 9), Submission(500.0, (300.0,))]
    found = play(files, fixed(1), SPEED, 90.0, counted_from=400.0)
    assert found.waits.tolist() == [0.0]
    assert found.work_hours == pytest.approx(10 / HOUR)


def test_a_day_without_files_is_empty() -> None:
    found = play([], fixed(1), SPEED, 90.0)
    assert (found.wait(95), found.most_open, found.worker_hours) == (0.0, 0, 0.0)

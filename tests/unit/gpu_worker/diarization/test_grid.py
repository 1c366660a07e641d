"""The windows of a file, and how shards divide them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.diarization.grid import Grid, shard_count
from gpu_worker.pcm import SAMPLE_RATE

GRID = Grid(10 * SAMPLE_RATE, SAMPLE_RATE)


@pytest.mark.parametrize(
    ("seconds", "windows"),
    [(0, 0), (0.01, 1), (9.9, 1), (10, 1), (10.01, 2), (11, 2), (11.5, 3), (36_000, 35_991)],
)
def test_the_last_window_is_padded_if_the_file_ends_inside_it(seconds: float, windows: int) -> None:
    assert GRID.window_count(round(seconds * SAMPLE_RATE)) == windows


grids = st.builds(
    lambda step, more: Grid(step + more, step), st.integers(1, 50), st.integers(0, 90)
)


@given(grids, st.integers(0, 5000), st.floats(0.001, 0.1))
def test_the_shards_hold_each_window_once_in_order(
    grid: Grid, samples: int, shard_seconds: float
) -> None:
    shards = range(shard_count(samples, shard_seconds))
    held = [w for i in shards for w in grid.windows_of_shard(i, samples, shard_seconds)]
    assert held == list(range(grid.window_count(samples)))


@given(grids, st.integers(1, 5000), st.floats(0.001, 0.1), st.integers(0, 3))
def test_a_window_belongs_to_the_shard_in_which_it_begins(
    grid: Grid, samples: int, shard_seconds: float, index: int
) -> None:
    length = max(1, round(shard_seconds * SAMPLE_RATE))
    for window in grid.windows_of_shard(index, samples, shard_seconds):
        assert index == window * grid.step_samples // length


@given(grids, st.integers(0, 5000), st.floats(0.001, 0.1), st.integers(0, 9))
def test_the_samples_of_a_shard_are_those_of_its_windows(
    grid: Grid, samples: int, shard_seconds: float, index: int
) -> None:
    windows = grid.windows_of_shard(index, samples, shard_seconds)
    found = grid.samples_of(windows, samples)
    wanted = {
        sample
        for window in windows
        for sample in range(
            window * grid.step_samples,
            min(window * grid.step_samples + grid.window_samples, samples),
        )
    }
    assert set(found) >= wanted
    assert bool(found) == bool(windows)
    if windows:
        assert (found.start, found.stop) == (min(wanted), max(wanted) + 1)


def test_a_shard_at_the_end_may_hold_no_window() -> None:
    samples = round(260.5 * SAMPLE_RATE)
    assert shard_count(samples) == 2
    assert GRID.windows_of_shard(1, samples) == range(252, 252)
    assert GRID.samples_of(range(252, 252), samples) == range(0)


def test_a_shard_of_the_default_length_holds_whole_batches() -> None:
    assert len(GRID.windows_of_shard(1, 10**9)) % 32 == 0

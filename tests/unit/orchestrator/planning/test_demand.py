"""A day's files come as often as the demand says, and most at its peak."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gpu_worker.errors import InvalidOption
from orchestrator.planning.demand import DAY, HOUR, Demand, FileLengths, submissions

CALLS = (FileLengths(1.0, 60.0, 600.0),)


@pytest.mark.parametrize("peak", [1.0, 1.5, 2.67, 8.0])
def test_a_day_has_its_hours_of_audio(peak: float) -> None:
    files = submissions(Demand(2_000.0, peak, CALLS), 0.0, DAY)
    hours = sum(sum(one.chunks) for one in files) / HOUR
    assert hours == pytest.approx(2_000.0, rel=0.03)


@pytest.mark.parametrize("peak", [1.0, 1.5, 2.67, 8.0])
def test_the_busiest_moment_has_the_peak_of_the_mean(peak: float) -> None:
    demand = Demand(20_000.0, peak, CALLS)
    noon = submissions(demand, DAY / 2 - 600, DAY / 2 + 600)
    mean = demand.files_a_day / DAY * 1_200
    assert len(noon) / mean == pytest.approx(peak, rel=0.05)


def test_the_share_of_each_kind_is_kept() -> None:
    kinds = (FileLengths(3.0, 60.0, 60.0), FileLengths(1.0, 3_600.0, 3_600.0))
    files = submissions(Demand(5_000.0, 1.0, kinds), 0.0, DAY)
    long = [one for one in files if sum(one.chunks) > 1_000]
    assert len(long) / len(files) == pytest.approx(0.25, abs=0.02)
    assert {len(one.chunks) for one in long} == {12}


def test_files_come_in_the_order_of_their_times() -> None:
    times = [one.at for one in submissions(Demand(500.0, 3.0), DAY / 4, DAY / 2)]
    assert times == sorted(times)
    assert DAY / 4 <= times[0] <= times[-1] < DAY / 2


def test_the_same_seed_gives_the_same_day() -> None:
    demand = Demand(100.0, 2.0)
    assert submissions(demand, 0.0, DAY, 5) == submissions(demand, 0.0, DAY, 5)
    assert submissions(demand, 0.0, DAY, 5) != submissions(demand, 0.0, DAY, 6)


def test_the_mean_length_is_that_of_its_shares() -> None:
    assert Demand(1.0, 1.0, CALLS).file_seconds == 330.0
    assert np.isclose(Demand(1.0).file_seconds, 0.8 * 330 + 0.2 * 3_600)


@pytest.mark.parametrize(
    ("hours", "peak", "files"),
    [
        (0.0, 1.0, CALLS),
        (0.001, 1.0, CALLS),
        (math.inf, 1.0, CALLS),
        (1e7, 1.0, CALLS),
        (1.0, 1.0, (FileLengths(1.0, 60.0, 700_000.0),)),
        (math.nan, 1.0, CALLS),
        (1.0, 0.5, CALLS),
        (1.0, 21.0, CALLS),
        (1.0, 1.0, ()),
        (1.0, 1.0, (FileLengths(0.0, 1.0, 2.0),)),
        (1.0, 1.0, (FileLengths(1.0, 3.0, 2.0),)),
    ],
)
def test_what_cannot_be_is_refused(
    hours: float, peak: float, files: tuple[FileLengths, ...]
) -> None:
    with pytest.raises(InvalidOption):
        Demand(hours, peak, files)

"""The slopes of a soak are those of the lines after the warm-up."""

from __future__ import annotations

import math

import pytest

from benchmarks.fleet.load_samples import slope


def test_a_slope_is_that_of_a_minute_and_leaves_the_warm_up_out() -> None:
    seconds = [5.0 * number for number in range(40)]
    values = [100.0 - number if number < 10 else 50.0 + number / 12 for number in range(40)]
    assert slope(seconds, values) == pytest.approx(1.0)  # 12 samples a minute


def test_a_slope_of_one_sample_is_no_number() -> None:
    assert math.isnan(slope([5.0], [1.0]))

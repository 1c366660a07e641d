"""Intervals cover the truth as often as they say, and pairs make them narrow."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.accuracy import intervals
from gpu_worker.accuracy.intervals import FEWEST_UNITS, difference

pytestmark = pytest.mark.slow  # it imports scipy, and draws


def drawn(seed: int, units: int, more: float) -> tuple[list[int], list[int], list[int]]:
    """Errors of two sides in units of 20 words: hard and easy ones, alike for both sides."""
    dice = np.random.default_rng(seed)
    rates = dice.gamma(2.0, 0.05, units)
    first = dice.binomial(20, np.minimum(rates, 0.9))
    second = dice.binomial(20, np.minimum(rates * (1 + more), 0.9))
    return first.tolist(), second.tolist(), [20] * units


def test_the_interval_covers_the_true_difference_in_95_of_100_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 799)
    large = drawn(0, 1_000_000, 0.3)
    truth = (sum(large[1]) - sum(large[0])) / sum(large[2])
    found = [difference(*drawn(seed, 60, 0.3)) for seed in range(1, 301)]
    covered = sum(1 for it in found if it is not None and it.low <= truth <= it.high)
    assert 0.92 <= covered / len(found) <= 0.98


def test_equal_models_are_seldom_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 799)
    found = [difference(*drawn(seed, 60, 0.0)) for seed in range(1, 201)]
    assert sum(1 for it in found if it is not None and it.sign) <= 20  # 5 % are wanted


def test_the_same_units_for_both_sides_make_the_interval_narrow() -> None:
    hard = [0, 12, 1, 15, 0, 9, 18, 2] * 4
    worse = [errors + 1 for errors in hard]
    sizes = [20] * len(hard)
    paired = difference(hard, worse, sizes)
    shuffled = difference(hard, worse[5:] + worse[:5], sizes)
    assert paired is not None and shuffled is not None
    assert (paired.low, paired.high) == pytest.approx((0.05, 0.05)) and paired.sign == 1
    assert shuffled.value == pytest.approx(0.05) and shuffled.sign == 0


def test_the_first_side_is_worse_where_the_difference_is_negative() -> None:
    found = difference([5] * 30, [1] * 30, [20] * 30)
    assert found is not None and (found.sign, found.units) == (-1, 30)
    assert found == difference([5] * 30, [1] * 30, [20] * 30)  # the seed is fixed


def test_too_few_units_and_no_words_have_no_interval() -> None:
    few = [1.0] * (FEWEST_UNITS - 1)
    assert difference(few, few, few) is None
    assert difference([1.0] * 9, [1.0] * 9, [0.0] * 9) is None
    empty = difference([0.0] * 9, [1.0] * 9, [0.0] * 8 + [1.0])
    assert empty is not None and empty.low == 0.0

"""The time of batches is learned, and bounds the items of one without giving up too much speed."""

from __future__ import annotations

import random

import pytest

from gpu_worker.devices.batch_seconds import ALONE, SHARED, BatchSeconds, Bound

WHOLE = 16


def measured(fixed: float, each: float, sizes: list[int], noise: float = 0.0) -> BatchSeconds:
    """Return what is known after batches of these sizes; the first one was slow."""
    dice, found = random.Random(1), BatchSeconds()
    found.took(1, 30.0)
    for size in sizes:
        found.took(size, (fixed + each * size) * (1 + dice.uniform(-noise, noise)))
    return found


def test_what_was_not_measured_is_whole() -> None:
    assert BatchSeconds().items(WHOLE, SHARED) == WHOLE


def test_the_first_batch_does_not_count() -> None:
    slow = BatchSeconds()
    slow.took(1, 30.0)
    assert slow.items(WHOLE, SHARED) == WHOLE
    assert measured(0.0, 0.001, [1]).items(WHOLE, SHARED) == WHOLE


def test_a_device_without_a_fixed_part_gets_what_fits_into_the_time() -> None:
    assert measured(0.0, 0.008, [16, 16, 3]).items(WHOLE, SHARED) == 5
    assert measured(0.0, 0.5, [16, 16]).items(WHOLE, SHARED) == 1


def test_batches_of_one_size_are_taken_for_having_no_fixed_part() -> None:
    fixed, each = measured(0.05, 0.05, [16] * 9).line
    assert fixed == 0.0 and each == pytest.approx(0.85 / 16)


def test_the_fixed_part_is_found_in_noise() -> None:
    fixed, each = measured(0.15, 0.02, [16, 5, 1, 9, 16, 12, 3] * 20, noise=0.1).line
    assert fixed == pytest.approx(0.15, rel=0.25) and each == pytest.approx(0.02, rel=0.25)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_short_batch_keeps_three_quarters_of_the_speed(share: float) -> None:
    whole_seconds = 2.0
    fixed, each = share * whole_seconds, (1 - share) * whole_seconds / WHOLE
    items = measured(fixed, each, [16, 8, 4]).items(WHOLE, SHARED)
    assert items / (fixed + items * each) >= 0.75 * WHOLE / whole_seconds
    fewer = items - 1
    assert fewer / (fixed + fewer * each) < 0.75 * WHOLE / whole_seconds


def test_a_device_that_takes_no_longer_for_more_items_gets_whole_batches() -> None:
    assert measured(0.3, 0.0, [16, 4, 8]).items(WHOLE, SHARED) == WHOLE
    assert measured(0.3, -0.001, [16, 4, 8]).items(WHOLE, SHARED) == WHOLE


def test_quick_batches_stay_whole() -> None:
    assert measured(0.003, 0.002, [16, 4]).items(WHOLE, SHARED) == WHOLE


def test_a_lone_owner_s_batches_are_bounded_on_a_device_of_many_seconds_alone() -> None:
    assert measured(0.0, 0.3, [16, 4]).items(WHOLE, ALONE) == WHOLE
    assert measured(0.0, 10.0, [6, 4]).items(6, ALONE) == 1


def test_a_batch_has_one_item_at_least_and_no_more_than_a_whole_one() -> None:
    known = measured(0.2, 0.1, [16, 4])
    assert known.items(1, SHARED) == 1
    assert known.items(4, Bound(1000.0, 0.5)) == 4


def test_a_device_that_became_slower_is_noticed() -> None:
    known = measured(0.0, 0.004, [16, 8] * 10)
    assert known.items(WHOLE, SHARED) == 10
    for _ in range(60):
        size = known.items(WHOLE, SHARED)
        known.took(size, 0.02 * size)
    assert known.items(WHOLE, SHARED) == 2


def test_batches_that_follow_what_is_learned_keep_the_speed_though_times_vary() -> None:
    dice, known = random.Random(4), BatchSeconds()
    for _ in range(10):
        known.took(WHOLE, 0.13 + 0.02 * WHOLE)
    items = seconds = 0.0
    for _ in range(500):
        size = known.items(WHOLE, SHARED)
        took = (0.13 + 0.02 * size) * dice.uniform(0.7, 1.3)
        known.took(size, took)
        items, seconds = items + size, seconds + took
    assert items / seconds > 0.7 * WHOLE / (0.13 + 0.02 * WHOLE)
    assert seconds / 500 < 0.75 * (0.13 + 0.02 * WHOLE)

"""The size of batches follows what fits, down at once and up slowly."""

from __future__ import annotations

import random

from gpu_worker.devices.batch_size import BatchSize


def test_a_refusal_halves_the_size_and_is_remembered() -> None:
    size = BatchSize(64)
    size.refused(64)
    assert size.size == 32
    size.fitted(32)
    assert size.size == 32


def test_a_batch_of_one_is_always_tried() -> None:
    size = BatchSize(64)
    size.refused(1)
    assert size.size == 1


def test_full_batches_that_fit_raise_the_size_up_to_the_largest() -> None:
    size = BatchSize(64)
    size.refused(64)
    for _ in range(200):
        size.fitted(size.size)
    assert size.size == 64


def test_small_batches_say_nothing_about_larger_ones() -> None:
    size = BatchSize(64)
    size.refused(64)
    for _ in range(200):
        size.fitted(31)
    assert size.size == 32


def test_a_device_with_little_memory_left_gets_smaller_batches() -> None:
    size = BatchSize(64)
    size.fitted(64, memory_ratio=0.95)
    assert size.size == 48
    for _ in range(100):
        size.fitted(size.size, memory_ratio=0.95)
    assert size.size == 8


def test_the_size_recovers_after_a_limit_that_moves_at_random() -> None:
    dice, size, limit = random.Random(7), BatchSize(128), 128
    for _ in range(2000):
        limit = dice.choice((4, 16, 64, 128)) if dice.random() < 0.05 else limit
        if size.size > limit:
            size.refused(size.size)
        else:
            size.fitted(size.size)
        assert 1 <= size.size <= 128
    for _ in range(300):
        size.fitted(size.size)
    assert size.size == 128

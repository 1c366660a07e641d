"""Batches give one result for each item, in order, at whatever size fits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.devices.batching import run_batches
from gpu_worker.errors import OutOfMemory


class Device:
    """Squares numbers, at most `room` at once."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def run(self, batch: Sequence[int]) -> list[int]:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise MemoryError
        return [item * item for item in batch]


@given(st.lists(st.integers(), max_size=50), st.integers(1, 20), st.integers(1, 20))
def test_every_item_has_its_result_whatever_fits(
    items: list[int], batch_size: int, room: int
) -> None:
    assert run_batches(items, batch_size, Device(room).run) == [item * item for item in items]


def test_a_batch_that_does_not_fit_is_halved_for_the_rest() -> None:
    device = Device(room=3)
    run_batches(range(10), 8, device.run)
    assert device.sizes == [8, 4, 2, 2, 2, 2, 2]


def test_one_item_that_does_not_fit_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory):
        run_batches([1, 2], 2, Device(room=0).run)


def test_no_items_run_nothing() -> None:
    device = Device(room=1)
    assert run_batches([], 4, device.run) == []
    assert device.sizes == []


def test_the_work_can_be_stopped_between_two_batches() -> None:
    device = Device(room=8)

    def stop_after_two() -> None:
        if len(device.sizes) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_batches(range(10), 2, device.run, before_batch=stop_after_two)
    assert device.sizes == [2, 2]

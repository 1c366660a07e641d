"""Items of several threads share batches, and no item suffers from its neighbours."""

from __future__ import annotations

import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from gpu_worker.devices import batcher as module
from gpu_worker.devices.batcher import Batcher
from gpu_worker.devices.requests import Standing
from gpu_worker.devices.turns import NoTurns
from gpu_worker.errors import DevicePoisoned, InvalidOption, OutOfMemory
from tests.eventually import PATIENCE_SECONDS, eventually


class Device:
    """Squares numbers, at most `room` at once; refuses 13."""

    def __init__(self, room: int = 1000, seconds: float = 0.0) -> None:
        self.room, self.seconds = room, seconds
        self.may_begin: Callable[[], bool] = lambda: True  # the first batch, which has begun
        self.batches: list[tuple[str, list[int]]] = []

    def run(self, batch: Sequence[int], key: str) -> list[int]:
        time.sleep(self.seconds)
        if not self.batches:
            assert eventually(self.may_begin)
        self.batches.append((key, list(batch)))
        if len(batch) > self.room:
            raise MemoryError
        if 13 in batch:
            raise InvalidOption("13")
        if 666 in batch:
            raise DevicePoisoned
        return [item * item for item in batch]


class Taken:
    """What a batch takes of the device's memory."""


class ToldTurns(NoTurns):
    """Notes when items of a thread ran."""

    def __init__(self) -> None:
        self.ran: list[tuple[float, float]] = []

    @contextmanager
    def running(self, model: object) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.ran.append((began, time.monotonic()))


def all_wait(batcher: Batcher[str, int, int], count: int) -> Callable[[], bool]:
    """Whether so many threads have brought items, the one whose batch runs among them."""
    return lambda: len(batcher._requests) == count


def begun(batcher: Batcher[str, int, int]) -> bool:
    """Whether the first batch has its items, so that what comes now is for the next ones."""
    return eventually(lambda: bool(batcher._in_batch))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batchers that wait for longer than any thread of a busy machine needs to come."""
    monkeypatch.setattr(module, "_WAITED_SECONDS", PATIENCE_SECONDS)


def many(batcher: Batcher[str, int, int], requests: Sequence[Sequence[int]]) -> list[list[int]]:
    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(lambda items: batcher.run(items, "k", 16), requests))


def test_each_thread_gets_its_own_results_in_order() -> None:
    batcher = Batcher(Device(seconds=0.001).run)
    requests = [list(range(start, start + start % 7)) for start in range(20, 60)]
    assert many(batcher, requests) == [[item * item for item in items] for items in requests]


def test_threads_share_batches() -> None:
    device = Device()
    batcher = Batcher(device.run)
    device.may_begin = all_wait(batcher, 17)
    assert len(many(batcher, [[number] for number in range(20, 37)])) == 17
    assert len(device.batches) <= 3
    assert max(len(items) for _, items in device.batches) >= 8


def test_a_batch_has_items_of_one_key_only() -> None:
    device = Device()
    batcher = Batcher(device.run)
    device.may_begin = all_wait(batcher, 8)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: batcher.run([n], "odd" if n % 2 else "even", 16), range(8)))
    for key, items in device.batches:
        assert all(("odd" if item % 2 else "even") == key for item in items)


def test_a_request_for_small_batches_makes_those_of_others_no_smaller() -> None:
    device = Device()
    batcher = Batcher(device.run)
    device.may_begin = all_wait(batcher, 7)
    with ThreadPoolExecutor(8) as threads:
        ends = [threads.submit(batcher.run, [20, 21, 22], "k", 1)]
        assert begun(batcher)
        ends += [threads.submit(batcher.run, [30 + n], "k", 16) for n in range(6)]
        for end in ends:
            end.result()
    assert {len(items) for _, items in device.batches if min(items) < 30} == {1}
    assert max(len(items) for _, items in device.batches if min(items) >= 30) == 6


def test_owners_take_turns_in_a_batch() -> None:
    device = Device()
    batcher = Batcher(device.run)
    device.may_begin = all_wait(batcher, 6)
    with ThreadPoolExecutor(8) as threads:
        ends = [threads.submit(batcher.run, [20], "k", 4)]
        assert begun(batcher)
        flood = Standing("flood")
        ends += [
            threads.submit(batcher.run, [30 + 2 * n, 31 + 2 * n], "k", 4, standing=flood)
            for n in range(4)
        ]
        assert eventually(all_wait(batcher, 5))
        newcomer = threads.submit(batcher.run, [70], "k", 4, standing=Standing("newcomer"))
        assert newcomer.result() == [4900]
        for end in ends:
            end.result()
    assert [70 in items for _, items in device.batches][:3] == [False, True, False]


def test_a_batch_of_a_slow_device_has_items_of_one_owner() -> None:
    device = Device()
    batcher = Batcher(device.run, owners_apart=True)
    device.may_begin = all_wait(batcher, 5)
    with ThreadPoolExecutor(8) as threads:
        ends = [threads.submit(batcher.run, [20], "k", 4)]
        assert begun(batcher)
        for owner, items in {"a": [30, 31], "b": [40, 41]}.items():
            ends += [
                threads.submit(batcher.run, [item], "k", 4, standing=Standing(owner))
                for item in items
            ]
        for end in ends:
            end.result()
    assert sorted(sorted(items) for _, items in device.batches) == [[20], [30, 31], [40, 41]]


def test_urgent_items_go_before_older_ones() -> None:
    device = Device()
    batcher = Batcher(device.run)
    device.may_begin = all_wait(batcher, 2)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(batcher.run, list(range(20, 60)), "k", 4)
        assert begun(batcher)
        urgent = threads.submit(batcher.run, [70], "k", 4, standing=Standing(is_urgent=True))
        assert urgent.result() == [4900]
        first.result()
    assert [70 in items for _, items in device.batches][:3] == [False, True, False]


def test_a_batch_waits_for_a_thread_that_will_bring_more(patient: None) -> None:
    device = Device()
    batcher = Batcher(device.run)
    batcher._last_seconds = 3600.0  # so that it is worth to wait
    with ThreadPoolExecutor(2) as threads:
        with batcher.coming():
            ends = [threads.submit(batcher.run, [2], "k", 16)]
            assert eventually(all_wait(batcher, 1))
            ends.append(threads.submit(batcher.run, [3], "k", 16))
            assert eventually(all_wait(batcher, 2))
        assert [end.result() for end in ends] == [[4], [9]]
    assert [items for _, items in device.batches] == [[2, 3]]


def test_threads_prepare_their_items_in_turn_so_that_the_first_ones_are_early() -> None:
    batcher = Batcher(Device().run, prepared_at_once=2)
    preparing, most = set[int](), [0]
    two = threading.Barrier(2, timeout=PATIENCE_SECONDS)

    def prepare(number: int) -> list[int]:
        with batcher.preparing():
            preparing.add(number)
            two.wait()
            most[0] = max(most[0], len(preparing))
            time.sleep(0.01)
            preparing.remove(number)
        return batcher.run([number], "k", 4)

    with ThreadPoolExecutor(8) as threads:
        assert [found for [found] in threads.map(prepare, range(8))] == [n * n for n in range(8)]
    assert most == [2]


def test_a_first_batch_waits_for_items_that_are_prepared_on_the_models_own_cores(
    patient: None,
) -> None:
    device = Device()
    batcher = Batcher(device.run, prepared_at_once=1, shares_cores=True)

    are_all_here = threading.Event()

    def bring(number: int) -> list[int]:
        with batcher.preparing():
            if not are_all_here.is_set():
                assert eventually(lambda: batcher._coming == 3)
                are_all_here.set()
            time.sleep(0.02)
        return batcher.run([number], "k", 3)

    with ThreadPoolExecutor(3) as threads:
        assert [found for [found] in threads.map(bring, range(3))] == [0, 1, 4]
    assert [sorted(items) for _, items in device.batches] == [[0, 1, 2]]


def test_what_a_batch_took_is_free_before_its_halves_run() -> None:
    held: list[weakref.ref[Taken]] = []
    most = []

    def run(batch: Sequence[int], key: str) -> Sequence[int]:
        most.append(sum(one() is not None for one in held))
        taken = Taken()
        held.append(weakref.ref(taken))
        if len(batch) > 2:
            raise MemoryError
        return batch

    assert Batcher(run).run(list(range(8)), "k", 8) == list(range(8))
    assert len(most) == 7 and set(most) == {0}


def test_batchers_with_one_device_run_one_batch_at_a_time_and_to_wait_is_no_turn() -> None:
    device = threading.Lock()
    running, most = [0], [0]
    turns = [ToldTurns(), ToldTurns()]

    def run(batch: Sequence[int], key: str) -> Sequence[int]:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.1)
        running[0] -= 1
        return batch

    batchers = [Batcher[str, int, int](run, device=device) for _ in turns]
    with ThreadPoolExecutor(2) as threads:
        pairs = zip(batchers, turns, strict=True)
        ends = [threads.submit(own.run, [1], "k", 1, turns=told) for own, told in pairs]
        assert [end.result() for end in ends] == [[1], [1]]
    assert most == [1]
    (_, first_ended), (second_began, _) = sorted(span for told in turns for span in told.ran)
    assert first_ended <= second_began


def test_a_batch_of_a_thread_that_is_alone_does_not_wait(patient: None) -> None:
    batcher = Batcher(Device().run, shares_cores=True)
    began = time.monotonic()
    batcher.run([1], "k", 16)
    assert time.monotonic() - began < PATIENCE_SECONDS / 2  # it waits for all of it, or not at all


def test_a_bad_item_fails_alone() -> None:
    batcher = Batcher(Device(seconds=0.02).run)
    with ThreadPoolExecutor(8) as threads:
        ends = [threads.submit(batcher.run, [n], "k", 16) for n in (1, 2, 13, 4, 5, 6, 7, 8)]
        for number, end in zip((1, 2, 13, 4, 5, 6, 7, 8), ends, strict=True):
            if number == 13:
                with pytest.raises(InvalidOption):
                    end.result()
            else:
                assert end.result() == [number * number]


def test_a_poisoned_device_is_told_to_all_of_the_batch() -> None:
    device = Device(seconds=0.05)
    with pytest.raises(DevicePoisoned):
        many(Batcher(device.run), [[1, 666], [2]])


def test_a_batch_that_does_not_fit_is_halved_and_the_size_is_remembered() -> None:
    device = Device(room=5)
    batcher = Batcher(device.run)
    batcher.run(list(range(20, 36)), "k", 16)
    device.batches.clear()
    batcher.run(list(range(20, 36)), "k", 16)
    assert max(len(items) for _, items in device.batches) <= 5


def test_one_item_that_does_not_fit_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory):
        Batcher(Device(room=0).run).run([1], "k", 4)


def test_a_thread_that_stops_leaves_the_others_their_results() -> None:
    batcher = Batcher(Device(seconds=0.02).run)

    def stop() -> None:
        raise InterruptedError

    with ThreadPoolExecutor(2) as threads:
        stopped = threads.submit(batcher.run, [1, 2], "k", 16, before_batch=stop)
        others = threads.submit(batcher.run, [3, 4], "k", 16)
        with pytest.raises(InterruptedError):
            stopped.result()
        assert others.result() == [9, 16]


def test_no_items_need_no_batch() -> None:
    device = Device()
    assert Batcher(device.run).run([], "k", 4) == []
    assert device.batches == []


def test_the_fill_of_each_batch_is_told() -> None:
    told: list[tuple[int, int]] = []
    Batcher(Device().run, on_batch=lambda items, size: told.append((items, size))).run(
        list(range(20, 30)), "k", 8
    )
    assert told == [(8, 8), (2, 8)]


def test_a_memory_limit_that_shrinks_and_grows_fails_no_item_and_the_size_recovers() -> None:
    dice, device = random.Random(3), Device(room=64)
    batcher = Batcher(device.run)
    for _ in range(300):
        device.room = dice.choice((1, 3, 16, 64)) if dice.random() < 0.3 else device.room
        items = [dice.randrange(20, 600) for _ in range(dice.randrange(1, 90))]
        assert batcher.run(items, "k", 64) == [item * item for item in items]
    device.room = 64
    device.batches.clear()
    for _ in range(400):
        batcher.run(list(range(20, 84)), "k", 64)
    assert len(device.batches[-1][1]) == 64

"""Run the items of many threads through one model, in batches that hold items of all of them.

A thread that has items asks for their results and waits. One of the waiting threads runs the next
batch for all, so there is no thread to start or to end, and while one batch runs the other threads
prepare the items of the next. A batch that is not full waits a moment, but only while a thread
has said that it will bring more, or has just left and may come back with more.

An item's neighbours never suffer from it: a batch that fails is run again in halves, until the item
that is to blame fails alone. A batch that does not fit is halved too, and the size is remembered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar

from gpu_worker.devices.batch_choice import BatchChoice
from gpu_worker.devices.faults import told
from gpu_worker.devices.requests import ANY_STANDING, Place, Request, Standing
from gpu_worker.devices.turns import NO_TURNS, Turns
from gpu_worker.errors import DeviceFault, DevicePoisoned

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")

# A batch waits for more items no longer than this many seconds, and, if the device idles meanwhile,
# than this part of the time that the last batch took.
_WAITED_SECONDS = 0.5
_WAITED_RATIO = 0.25
# A thread that has got its results is expected to begin with other items within so many seconds.
_BACK_SECONDS = 0.05


class Batcher(Generic[Key, Item, Result]):
    """Makes batches of the items of several threads."""

    def __init__(
        self,
        run: Callable[[Sequence[Item], Key], Sequence[Result]],
        *,
        prepared_at_once: int = 1,
        shares_cores: bool = False,
        owners_apart: bool = False,
        device: threading.Lock | None = None,
        memory_ratio: Callable[[], float | None] = lambda: None,
        on_batch: Callable[[int, int], None] = lambda items, size: None,
    ) -> None:
        """`run` gives a result for each item of a batch; it raises MemoryError if it does not fit.

        `prepared_at_once` threads prepare items at a time: one for each core, as more would only
        make the first one late. `shares_cores` says that the model runs on the cores that prepare,
        so that nothing idles while a batch waits for them. With `owners_apart` a batch has items of
        one owner, for devices on which each neighbour makes it longer. `memory_ratio` tells how
        much of the device's memory is in use; `on_batch` hears of each batch how many items it had,
        and how many it might have had. Of the batchers with one `device` one runs a batch at a
        time.
        """
        self._model = run
        self._memory_ratio = memory_ratio
        self._on_batch = on_batch
        self._choice = BatchChoice(owners_apart=owners_apart)
        self._shares_cores = shares_cores
        self._device = device or threading.Lock()
        self._preparing = threading.Semaphore(prepared_at_once)
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._is_running = False
        self._in_batch: frozenset[Request] = frozenset()  # with items in it
        self._coming = 0
        self._last_seconds = 0.0  # of the last batch
        self._left_at = float("-inf")  # when a thread last left with its results

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Say that this thread will bring items at the end of the block."""
        with self._changed:
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1
                self._changed.notify_all()

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Prepare items in the block, as `coming`; wait first while enough other threads do."""
        with self.coming(), self._preparing:
            yield

    def run(
        self,
        items: Sequence[Item],
        key: Key,
        largest: int,
        *,
        before_batch: Callable[[], None] = lambda: None,
        turns: Turns = NO_TURNS,
        standing: Standing = ANY_STANDING,
    ) -> list[Result]:
        """Return one result for each item, in order, from batches of at most `largest`.

        Urgent items go before those that are not; then owners take turns, and of an owner the
        thread that came first is first. While several owners are here, batches are short.
        `before_batch` may raise to stop this thread's items between two batches. Raises OutOfMemory
        when a single item does not fit, and what the model raises for one of these items.
        """
        request = Request(key, items, largest, before_batch, turns, standing)
        with self._changed:
            if items:
                self._requests.append(request)
                self._changed.notify_all()
            while not request.is_over:
                if self._is_running:
                    with self._turn(request):
                        self._changed.wait()
                    continue
                self._is_running = True
                try:
                    self._lead(request)
                finally:
                    self._is_running, self._in_batch = False, frozenset()
                    self._requests = [other for other in self._requests if other.left]
                    self._changed.notify_all()
            self._left_at = time.monotonic()
        if request.error is not None:
            raise request.error
        return [request.results[index] for index in range(len(items))]

    def _turn(self, request: Request) -> AbstractContextManager[None]:
        is_in = request in self._in_batch
        return request.turns.running(self) if is_in else request.turns.waiting()

    def _lead(self, leader: Request) -> None:
        """Run one batch, with the lock let go meanwhile, and while the device runs another's."""
        self._changed.release()
        try:
            with leader.turns.waiting():
                self._device.acquire()
        finally:
            self._changed.acquire()
        try:
            self._run_gathered(leader)
        finally:
            self._device.release()

    def _run_gathered(self, leader: Request) -> None:
        places, size = self._gathered()
        self._in_batch = frozenset(request for request, _ in places)
        self._changed.notify_all()  # the turn of the others may be another now
        turn = self._turn(leader)
        self._changed.release()
        try:
            for request in dict.fromkeys(request for request, _ in places):
                _failing(request, request.check)
            began = time.monotonic()
            with turn:
                self._run(places)
            self._last_seconds = time.monotonic() - began
            self._on_batch(len(places), size)
        except BaseException as error:
            for request, _ in places:
                request.error = request.error or error
            raise
        finally:
            self._changed.acquire()

    def _gathered(self) -> tuple[list[Place], int]:
        """Take the items of the next batch; wait a moment while more are on their way."""
        waits = _WAITED_SECONDS
        if not self._shares_cores:
            waits = min(waits, _WAITED_RATIO * self._last_seconds)
        until = time.monotonic() + waits
        while True:
            now = time.monotonic()
            requests, size = self._choice.compatible(self._requests, now)
            missing = size - sum(request.left for request in requests)
            left = (until if self._coming else min(until, self._left_at + _BACK_SECONDS)) - now
            if missing <= 0 or left <= 0:
                break
            self._changed.wait(left)
        places: list[Place] = []
        for request in requests:
            count = min(request.left, size - len(places))
            places += [(request, request.taken + index) for index in range(count)]
            request.taken += count
        self._choice.taken(places)
        return places, size

    def _run(self, places: Sequence[Place]) -> None:
        """Run a batch, in halves if it fails, and keep its results and errors."""
        places = [(request, index) for request, index in places if request.error is None]
        if not places:
            return
        items = [request.items[index] for request, index in places]
        began = time.monotonic()
        try:
            results = self._model(items, places[0][0].key)
        except (DevicePoisoned, DeviceFault) as error:  # no smaller batch helps
            for request, _ in places:
                request.error = error
            return
        except Exception as error:
            if isinstance(error, MemoryError):
                self._choice.size.refused(len(places))
            if len(places) == 1:
                places[0][0].error = told(error)
                return
            results = None
        if results is None:  # only here is the error gone, and with it what the batch had taken
            middle = len(places) // 2
            self._run(places[:middle])
            self._run(places[middle:])
            return
        self._choice.took(places[0][0], len(places), time.monotonic() - began)
        self._choice.size.fitted(len(places), self._memory_ratio())
        for (request, index), result in zip(places, results, strict=True):
            request.results[index] = result


def _failing(request: Request, call: Callable[[], None]) -> None:
    try:
        call()
    except Exception as error:
        request.error = error

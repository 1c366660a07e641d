"""Choose which items the next batch of a model has, and how many. Pure.

Urgent items go first, then those of the owner that was served longest ago. Batches are as large
as the device and the job allow while one owner has the model for itself, and short while several
share it (`batch_seconds.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cachetools import LRUCache

from gpu_worker.devices.batch_seconds import ALONE, SHARED, BatchSeconds
from gpu_worker.devices.batch_size import BatchSize
from gpu_worker.devices.owners import Owners
from gpu_worker.devices.requests import Place, Request, in_turn

Kind = tuple[Any, ...]  # of a request: only those of one kind share a batch
_KINDS = 64  # whose seconds are remembered
_UNMEASURED = BatchSeconds()


class BatchChoice:
    """What is known of a model's batches, and the choice of the next one."""

    def __init__(self, *, owners_apart: bool = False) -> None:
        """With `owners_apart` a batch has items of one owner."""
        self.size = BatchSize()
        self._owners_apart = owners_apart
        self._owners = Owners()
        self._seconds: LRUCache[Kind, BatchSeconds] = LRUCache(_KINDS)

    def compatible(self, requests: Sequence[Request], now: float) -> tuple[list[Request], int]:
        """Return the first request and those that may share its batch, and the batch's size.

        A request that wants small batches shares none with those that take large ones. `now` is
        any clock's time in seconds.
        """
        left = [request for request in requests if request.left]
        self._owners.seen({request.standing.owner for request in left}, now)
        left = in_turn(left, self._owners.last_batch)
        first = self._kind(left[0])
        found = [request for request in left if self._kind(request) == first]
        whole = min(self.size.size, left[0].largest)
        bound = SHARED if self._owners.are_several else ALONE
        return found, self._seconds.get(first, _UNMEASURED).items(whole, bound)

    def taken(self, places: Sequence[Place]) -> None:
        """Note that these items are in a batch."""
        self._owners.served({request.standing.owner for request, _ in places})

    def took(self, request: Request, items: int, seconds: float) -> None:
        """Note that a batch with items of this request, so many in all, took so long."""
        self._seconds.setdefault(self._kind(request), BatchSeconds()).took(items, seconds)

    def _kind(self, request: Request) -> Kind:
        owner = request.standing.owner if self._owners_apart else None
        return request.key, request.largest, owner

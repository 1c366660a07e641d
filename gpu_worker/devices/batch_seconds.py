"""Learn how long batches take, and how many items fit into a time. Pure.

A batch is not interrupted, so items of another owner wait for the rest of the one that runs. But
each batch takes a fixed time besides that of its items (a decoder reads its weights at each step,
for one window as for sixteen), so very short ones would cost much of the device's speed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_MEMORY = 0.9  # how much a batch still counts when the next one is measured
# Of the square of the sizes: below it they were too alike to tell what is fixed. The next batch is
# then as short as if nothing were, and tells it: one in some 45, if all others are of one size.
_SPREAD = 0.01


@dataclass(frozen=True, slots=True)
class Bound:
    """How long a batch may take, unless that costs too much.

    So much of a whole batch's speed is kept: a batch has as many items as that takes.
    """

    seconds: float
    kept_speed: float


# While several owners share a model. A clip of a few seconds takes some 0.15 s where nothing else
# runs, and waits for half of such a batch on average.
SHARED = Bound(0.04, 0.75)
# While one owner is alone: the first item of another one waits for a whole batch, and on a CPU a
# large model may need a minute for six windows.
ALONE = Bound(5.0, 0.95)


class BatchSeconds:
    """The seconds of batches of one kind, as a line: a fixed part, and a part for each item."""

    def __init__(self) -> None:
        """Begin without a measurement; until there is one, batches are whole."""
        self._weight = self._items = self._seconds = 0.0  # sums
        self._items_squared = self._products = 0.0
        self._is_warm = False

    def took(self, items: int, seconds: float) -> None:
        """Note that a batch of so many items took so long.

        The first one does not count: it may have loaded and compiled kernels.
        """
        if not self._is_warm:
            self._is_warm = True
            return
        self._weight = _MEMORY * self._weight + 1
        self._items = _MEMORY * self._items + items
        self._seconds = _MEMORY * self._seconds + seconds
        self._items_squared = _MEMORY * self._items_squared + items * items
        self._products = _MEMORY * self._products + items * seconds

    @property
    def line(self) -> tuple[float, float]:
        """The fixed seconds of a batch, and those of each item: the least squares' line.

        As long as all batches had one size, nothing of them is fixed.
        """
        if not self._weight:
            return 0.0, 0.0
        spread = self._weight * self._items_squared - self._items**2
        if spread <= _SPREAD * self._items**2:
            return 0.0, self._seconds / self._items
        each = (self._weight * self._products - self._items * self._seconds) / spread
        if each <= 0:  # a larger batch takes no longer
            return self._seconds / self._weight, 0.0
        fixed = (self._seconds - each * self._items) / self._weight
        return (fixed, each) if fixed > 0 else (0.0, self._products / self._items_squared)

    def items(self, whole: int, bound: Bound) -> int:
        """Return how many items a batch within the bound has, where a whole one has `whole`."""
        fixed, each = self.line
        if each <= 0:
            return whole
        in_time = math.floor((bound.seconds - fixed) / each + 1e-6)
        lost = (1 - bound.kept_speed) * whole * each
        in_speed = math.ceil(bound.kept_speed * whole * fixed / (fixed + lost) - 1e-6)
        return min(whole, max(1, in_time, in_speed))

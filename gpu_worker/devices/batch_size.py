"""Learn how many items a model can take at once: less after a refusal, slowly more again.

Memory is shared with other models and other programs, so the size that fits changes. Pure.
"""

from __future__ import annotations

import math

_FULL_RATIO = 0.9  # of a device's memory in use, from which on batches get smaller
_LEAST = 8  # items that full memory alone leaves; libraries keep freed memory, so it may stay full
_STREAK = 8  # full batches that went well, before a larger one is tried


class BatchSize:
    """The largest batch of one model that is likely to fit its device."""

    def __init__(self, largest: int = 512) -> None:
        """Begin without a bound of its own; the first refusal sets one."""
        self._largest = largest
        self._size = largest
        self._went_well = 0

    @property
    def size(self) -> int:
        """The number of items to run at once; at least 1."""
        return self._size

    def refused(self, items: int) -> None:
        """Note that a batch of so many items did not fit: take half."""
        self._set(items // 2)

    def fitted(self, items: int, memory_ratio: float | None = None) -> None:
        """Note that a batch went well, with this part of the memory in use behind it.

        Too little memory left makes batches smaller by a quarter, down to eight. After several
        full batches the size is raised by an eighth.
        """
        if memory_ratio is not None and memory_ratio > _FULL_RATIO:
            self._set(max(min(self._size, items) * 3 // 4, min(_LEAST, self._size)))
            return
        if items < self._size:
            return
        self._went_well += 1
        if self._went_well >= _STREAK:
            self._set(self._size + math.ceil(self._size / 8))

    def _set(self, size: int) -> None:
        self._size = min(max(size, 1), self._largest)
        self._went_well = 0

"""A set of very many names in little memory: eight bytes for each."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b

_FRESH = 100_000  # names that are kept unsorted, until they are merged


class Names:
    """Names by 64 bits of a digest: a name is taken for one of a million by a chance of 5e-14."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._sorted = array("Q")
        self._fresh: set[int] = set()
        self.add_all(names)

    def add_all(self, names: Iterable[str]) -> None:
        """Add names."""
        for name in names:
            self._fresh.add(_digest(name))
            if len(self._fresh) >= _FRESH:
                self._merge()

    def __contains__(self, name: str) -> bool:
        digest = _digest(name)
        if digest in self._fresh:
            return True
        place = bisect_left(self._sorted, digest)
        return place < len(self._sorted) and self._sorted[place] == digest

    def _merge(self) -> None:
        """Sort what is fresh into the rest. Timsort merges two sorted runs in one pass."""
        both = [*self._sorted, *sorted(self._fresh)]
        both.sort()
        self._sorted = array("Q", both)
        self._fresh.clear()


def _digest(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest())

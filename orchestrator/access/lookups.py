"""Keep a flood of made-up keys from becoming a flood of requests to the store.

A key that is unknown here is looked up in the store, a few in each second. Beyond that number the
list of all keys decides, which is read once a second at most: only a key that is on the list is
looked up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from threading import Lock

LOOKUPS_PER_SECOND = 20.0
LIST_SECONDS = 1.0  # age at which the list is read again; so long may a new key be refused
MOST_LISTED = 100_000  # hashes in memory; of more keys than that each is looked up


class Lookups:
    """Decides which keys are looked up; `digests` lists the hashes of all keys."""

    def __init__(
        self,
        digests: Callable[[], Iterator[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._digests = digests
        self._clock = clock
        self._left = LOOKUPS_PER_SECOND
        self._counted_at = clock()
        self._listed: frozenset[str] | None = frozenset()  # None: too many to list
        self._listed_at = float("-inf")
        self._counting, self._listing = Lock(), Lock()

    def may_look_up(self, digest: str) -> bool:
        """Tell whether to ask the store for this key; may list the store. Raises its errors."""
        return self._takes_one() or self._is_listed(digest)

    def _takes_one(self) -> bool:
        with self._counting:
            now = self._clock()
            gained = (now - self._counted_at) * LOOKUPS_PER_SECOND
            self._left = min(LOOKUPS_PER_SECOND, self._left + gained)
            self._counted_at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True

    def _is_listed(self, digest: str) -> bool:
        is_old = self._clock() - self._listed_at >= LIST_SECONDS
        # One thread lists; others use the last list meanwhile, so that not all threads wait.
        if is_old and self._listing.acquire(blocking=self._listed_at == float("-inf")):
            try:
                if self._clock() - self._listed_at >= LIST_SECONDS:
                    found = frozenset(islice(self._digests(), MOST_LISTED + 1))
                    self._listed = found if len(found) <= MOST_LISTED else None
                    self._listed_at = self._clock()
            finally:
                self._listing.release()
        return self._listed is None or digest in self._listed

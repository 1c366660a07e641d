"""Copy a store key by key while it is written to, as a tool for buckets does."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Self

from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.artifacts.local import LocalStore

TICK_SECONDS = 0.05  # between listings, in any order
PAGE = 25  # keys that are listed before they are copied, in the order of their names


class Copier:
    """A thread that copies a whole store in some seconds; each key has its own moment.

    In the order of names it lists a page and copies it. In any order each key has a moment that a
    seed gives: one that is written behind its moment, or deleted before, is not in the copy.
    """

    def __init__(
        self, store: ArtifactStore, to: Path, seconds: float, seed: int, *, in_order: bool
    ) -> None:
        self.to, self.in_order, self.seed = to, in_order, seed
        self._store, self._copy = store, LocalStore(to)
        self._seconds = seconds
        self._thread = threading.Thread(target=self._run, name="copier")
        self.began_at = self.ended_at = 0.0
        self.keys = 0
        self._fault: BaseException | None = None

    def start(self) -> Self:
        self.began_at = time.time()
        self._thread.start()
        return self

    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def join(self) -> None:
        self._thread.join()
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            for key in self._by_name() if self.in_order else self._by_moment():
                try:
                    self._copy.put(key, self._store.get(key))
                    self.keys += 1
                except ArtifactMissing:  # deleted since it was listed
                    pass
        except BaseException as error:
            self._fault = error
        self.ended_at = time.time()

    def _by_name(self) -> Iterator[str]:
        dice, after = random.Random(self.seed), ""
        pause = self._seconds / max(1, sum(1 for _ in self._store.list("")))
        while page := list(self._store.first("", PAGE, after)):
            for key in page:
                time.sleep(dice.uniform(0.0, 2 * pause))
                yield key
            after = page[-1]

    def _by_moment(self) -> Iterator[str]:
        done, ends_at = 0.0, time.monotonic() + self._seconds
        while done < 1.0:
            until = min(1.0, 1.0 - (ends_at - time.monotonic()) / self._seconds)
            for key in self._store.list(""):
                if done <= self._moment(key) < until:
                    yield key
            done = until
            time.sleep(TICK_SECONDS)

    def _moment(self, key: str) -> float:
        """The key's moment, from 0 to 1."""
        seed = self.seed.to_bytes(8)
        digest = blake2b(key.encode(), digest_size=8, key=seed).digest()
        return int.from_bytes(digest) / 2**64

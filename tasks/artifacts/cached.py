"""A store whose reads are answered from memory, then from files of this machine, then from it.

What may be copied, the caller says: for each key an anchor, or None. An anchor is a key whose bytes
are always the same, such as audio under its checksum, and a copy of it is used for at most
FRESH_SECONDS after it was last seen in the store, since it may be deleted. Other artifacts may be
deleted and computed again with a little difference: a copy of one is used for FRESH_SECONDS after
it was read or written, and goes with its anchor. Only `get` reads copies: whether an artifact
exists, the store alone says.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cachetools import TLRUCache

from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.artifacts.cached_files import CachedFiles
from tasks.artifacts.names import checked_range

FRESH_SECONDS = 60.0
OVERHEAD_BYTES = 400  # of a copy in memory: its name, and its place in the cache


class _Place(NamedTuple):
    """What is copied: a range of an artifact, or all of it."""

    anchor: str
    key: str
    start: int
    length: int | None

    @property
    def name(self) -> str:
        return f"{self.key}\n{self.start}\n{self.length}"


class _Copy(NamedTuple):
    data: bytes
    made_at: float


class CachedStore:
    """An `ArtifactStore` over another one. Each range that is read is a copy of its own."""

    def __init__(
        self,
        store: ArtifactStore,
        anchor: Callable[[str], str | None],
        *,
        memory_bytes: int,
        seconds: float,
        files: CachedFiles | None,
        count: Callable[[str, bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep copies of at most `memory_bytes` in memory, and in `files`, for `seconds`.

        `count` is told each look at a level (memory, disk, store), and whether it was a hit.
        """
        self.url = store.url
        self._store = store
        self._anchor = anchor
        self._memory: TLRUCache[_Place, _Copy] = TLRUCache(
            memory_bytes, self._expires_at, clock, _size
        )
        self._seconds = seconds
        self._files = files
        self._count = count
        self._clock = clock
        self._lock = threading.Lock()
        self._seen_at: dict[str, float] = {}  # when an anchor was last seen in the store
        self._deletions = 0
        self._reads: dict[_Place, Future[bytes]] = {}  # in progress

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Do what the store does; threads that ask for the same at the same time share a read."""
        checked_range(start, length)
        anchor = self._anchor(key)
        if anchor is None:
            return self._store.get(key, start, length)
        place = _Place(anchor, key, start, length)
        with self._lock:
            shared = self._reads.get(place)
            own: Future[bytes] = Future()
            if shared is None:
                self._reads[place] = own
        if shared is not None:
            data = shared.result()
            self._count("memory", True)
            return data
        try:
            data = self._read(place)
            own.set_result(data)
            return data
        except BaseException as error:
            own.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._reads[place]

    def tidy(self) -> None:
        """Drop copies that are too old, and those whose anchor is no longer in the store.

        Raises what the store raises.
        """
        with self._lock:
            self._memory.expire()
            anchors = {place.anchor for place in self._memory}
        if self._files is not None:
            self._files.drop_old()
            anchors |= self._files.groups()
        with self._lock:
            self._seen_at = {name: at for name, at in self._seen_at.items() if name in anchors}
        for anchor in sorted(anchors):
            self._is_there(anchor)

    def put(self, key: str, data: bytes) -> bool:
        """Do what the store does, and keep a copy of what was written: the next stage reads it."""
        asked_at, deletions = self._clock(), self._deletions
        is_written = self._store.put(key, data)
        anchor = self._anchor(key)
        if is_written and anchor is not None:
            self._keep(_Place(anchor, key, 0, None), data, asked_at, deletions)
        return is_written

    def put_file(self, key: str, path: Path) -> bool:
        return self._store.put_file(key, path)

    def put_stream(self, key: str, file: BinaryIO) -> bool:
        return self._store.put_stream(key, file)

    def presigned_put(self, key: str, size: int, seconds: int) -> str | None:
        return self._store.presigned_put(key, size, seconds)

    def fetch(self, key: str, path: Path) -> None:
        self._store.fetch(key, path)

    def size(self, key: str) -> int | None:
        return self._store.size(key)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        return self._store.list(prefix, after)

    def first(self, prefix: str, limit: int, after: str = "") -> Sequence[str]:
        return self._store.first(prefix, limit, after)

    def delete(self, key: str) -> None:
        """Delete the artifact, and drop all copies that have its anchor."""
        self._store.delete(key)
        anchor = self._anchor(key)
        if anchor is not None:
            self._forget(anchor)

    def _read(self, place: _Place) -> bytes:
        copy = self._copy(place)
        if copy is not None:
            return copy.data
        asked_at, deletions = self._clock(), self._deletions
        try:
            data = self._store.get(place.key, place.start, place.length)
        except ArtifactMissing:
            self._count("store", False)
            raise
        self._count("store", True)
        self._keep(place, data, asked_at, deletions)
        return data

    def _copy(self, place: _Place) -> _Copy | None:
        """Return a copy that may be used, and count the looks for it."""
        with self._lock:
            copy = self._memory.get(place)
        is_usable = copy is not None and self._may_use(place, copy)
        self._count("memory", is_usable)
        if is_usable or self._files is None:
            return copy if is_usable else None
        found = self._files.read(place.anchor, place.name)
        if found is not None:
            copy = _Copy(found.body, self._clock() - found.age)
            is_usable = self._may_use(place, copy)
        self._count("disk", is_usable)
        if copy is None or not is_usable:
            return None
        with self._lock:
            self._remember(place, copy)
        return copy

    def _may_use(self, place: _Place, copy: _Copy) -> bool:
        now = self._clock()
        if now >= self._expires_at(place, copy, now):
            return False
        return place.key != place.anchor or self._is_there(place.anchor)

    def _expires_at(self, place: _Place, copy: _Copy, _: float) -> float:
        own = self._seconds if place.key == place.anchor else min(FRESH_SECONDS, self._seconds)
        return copy.made_at + own

    def _keep(self, place: _Place, data: bytes, made_at: float, deletions: int) -> None:
        """Copy what was read or written, unless something was deleted since `deletions`."""
        with self._lock:
            if deletions != self._deletions:  # perhaps of this one, and after it was read
                return
            if place.key == place.anchor:
                self._seen_at[place.anchor] = made_at
            self._remember(place, _Copy(data, made_at))
        if self._files is not None:
            self._files.write(place.anchor, place.name, data)

    def _remember(self, place: _Place, copy: _Copy) -> None:
        with suppress(ValueError):  # larger than the cache
            self._memory[place] = copy

    def _is_there(self, anchor: str) -> bool:
        """Return whether the anchor is in the store, or was a moment ago; else drop its copies."""
        now = self._clock()
        with self._lock:
            if now - self._seen_at.get(anchor, -math.inf) < FRESH_SECONDS:
                return True
        if self._store.size(anchor) is None:
            self._forget(anchor)
            return False
        with self._lock:
            self._seen_at[anchor] = now
        return True

    def _forget(self, anchor: str) -> None:
        with self._lock:
            self._deletions += 1
            self._seen_at.pop(anchor, None)
            for place in [place for place in self._memory if place.anchor == anchor]:
                del self._memory[place]
        if self._files is not None:
            self._files.forget(anchor)


def _size(copy: _Copy) -> int:
    return len(copy.data) + OVERHEAD_BYTES

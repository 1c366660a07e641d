"""Artifacts in a dictionary, for tests and experiments.

It behaves like the other stores within one process, and ends with it. Stores opened by the same
name share their artifacts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from tasks.artifacts import ArtifactMissing
from tasks.artifacts.disk import arriving
from tasks.artifacts.names import checked_key, checked_prefix, checked_range


class MemoryStore:
    """An `ArtifactStore` that any number of threads may use."""

    def __init__(self, name: str = "") -> None:
        self.url = f"memory://{name}"
        self._artifacts: dict[str, bytes] = {}
        self._lock = Lock()

    def put(self, key: str, data: bytes) -> bool:
        with self._lock:
            if checked_key(key) in self._artifacts:
                return False
            self._artifacts[key] = bytes(data)
            return True

    def put_file(self, key: str, path: Path) -> bool:
        return self.put(key, path.read_bytes())

    def put_stream(self, key: str, file: BinaryIO) -> bool:
        file.seek(0)
        return self.put(key, file.read())

    def presigned_put(self, key: str, size: int, seconds: int) -> str | None:
        return None

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        checked_range(start, length)
        return self._artifact(key)[start : None if length is None else start + length]

    def fetch(self, key: str, path: Path) -> None:
        data = self._artifact(key)
        with arriving(path) as file:
            file.write(data)

    def size(self, key: str) -> int | None:
        data = self._artifacts.get(checked_key(key))
        return None if data is None else len(data)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        checked_prefix(prefix)
        with self._lock:
            keys = sorted(key for key in self._artifacts if key.startswith(prefix) and key > after)
        yield from keys

    def first(self, prefix: str, limit: int, after: str = "") -> Sequence[str]:
        return list(islice(self.list(prefix, after), limit))

    def delete(self, key: str) -> None:
        with self._lock:
            self._artifacts.pop(checked_key(key), None)

    def _artifact(self, key: str) -> bytes:
        try:
            return self._artifacts[checked_key(key)]
        except KeyError:
            raise ArtifactMissing(key) from None


_named: dict[str, MemoryStore] = {}
_naming = Lock()


def shared_store(name: str) -> MemoryStore:
    """Return the process's only store of that name; make it if there is none."""
    with _naming:
        return _named.setdefault(name, MemoryStore(name))

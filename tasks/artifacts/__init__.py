"""The object store: bytes under a key, written once.

An artifact is a fact. `put` never overwrites: the first writer wins and each later one gets
False, so to run a unit twice is harmless. Three stores behave the same and pass the same tests:
a directory (`file://`), S3 (`s3://`) and a dictionary (`memory://`). This package does not know
what the bytes mean: `tasks/runs/keys.py` builds the keys, and `tasks/artifacts/opening.py` opens
the store of a URL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from gpu_worker.errors import StoreRefused


class StoreUnsupported(StoreRefused):
    """The store cannot write an object once: it replaces one that is there."""

    code = "store_unsupported"
    hint = (
        "Use a store with conditional writes (If-None-Match: *), such as Amazon S3, MinIO or Ceph; "
        "docs/artifacts.md names those that were tried."
    )


class ArtifactMissing(KeyError):
    """There is no artifact under that key."""


class ArtifactStore(Protocol):
    """The methods of an object store.

    Every method may raise `gpu_worker.errors.StoreUnavailable` and `StoreRefused` (and those
    that write an artifact or a file `DiskFull`); `get` and `fetch` raise `ArtifactMissing` for
    a key that is not there. A key that breaks the rules of `tasks/artifacts/names.py` is a
    bug in the caller and raises `ValueError`. Any number of threads may use one store.
    """

    url: str  # as in the settings, without credentials

    def put(self, key: str, data: bytes) -> bool:
        """Write the artifact once. Returns False if the key exists, and leaves it unchanged."""

    def put_file(self, key: str, path: Path) -> bool:
        """Do what `put` does, streamed from a local file."""

    def put_stream(self, key: str, file: BinaryIO) -> bool:
        """Do what `put` does, streamed from an open, seekable file, from its start to its end."""

    def presigned_put(self, key: str, size: int, seconds: int) -> str | None:
        """Return a URL that takes `size` bytes by PUT for `seconds`; None if the store has none."""

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return the bytes, or `length` of them from byte `start`; fewer at the artifact's end."""

    def fetch(self, key: str, path: Path) -> None:
        """Write the artifact to a local file, streamed; on failure the file is as it was."""

    def size(self, key: str) -> int | None:
        """Return the size in bytes, or None if there is no such artifact."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield every key that starts with `prefix` and sorts behind `after`, in lexical order."""

    def first(self, prefix: str, limit: int, after: str = "") -> Sequence[str]:
        """Return what `list` yields first, at most `limit` and 1,000 keys: one request."""

    def delete(self, key: str) -> None:
        """Delete the artifact; do nothing if it is not there."""


def exists(store: ArtifactStore, key: str) -> bool:
    """Tell whether the artifact has been written."""
    return store.size(key) is not None


def encode(data: dict[str, Any]) -> bytes:
    """Encode as JSON with sorted keys, in UTF-8, so that equal results are equal bytes."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

"""The object store: bytes under a key, written once.

An artifact is a fact. `put` never overwrites: the first writer wins and every
later one is told so, which is what makes running anything twice harmless.
Three stores keep the same promise and pass the same tests: a directory
(`file://`), S3 (`s3://`) and a dictionary (`memory://`). Nothing here knows
what the bytes mean; keys are built in `tasks/runs/keys.py`, and
`tasks/artifacts/opening.py` opens the store of a URL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol


class ArtifactMissing(KeyError):
    """There is no artifact under that key."""


class ArtifactStore(Protocol):
    """What a stage may do with the object store.

    Every method may raise `gpu_worker.errors.StoreUnavailable` and `StoreRefused` (and those
    that write an artifact or a file `DiskFull`); `get` and `fetch` raise `ArtifactMissing` for
    a key that is not there. A key that breaks the rules of `tasks/artifacts/names.py` is a
    mistake in the code and raises `ValueError`. Any number of threads may use one store.
    """

    url: str  # as in the settings, without credentials

    def put(self, key: str, data: bytes) -> bool:
        """Write once. False: the key was there already and is unchanged."""

    def put_file(self, key: str, path: Path) -> bool:
        """`put` from a local file, streamed."""

    def put_stream(self, key: str, file: BinaryIO) -> bool:
        """`put` from an open file that can be sought, from its start to its end, streamed."""

    def presigned_put(self, key: str, size: int, seconds: int) -> str | None:
        """An address that takes `size` bytes by PUT for so long; None if there can be none."""

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes, or `length` of them from byte `start`; short at the end of the artifact."""

    def fetch(self, key: str, path: Path) -> None:
        """Write the artifact to a local file, streamed; on failure the file is as it was."""

    def size(self, key: str) -> int | None:
        """Size in bytes, or None if there is no such artifact."""

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with `prefix`, in lexical order."""

    def delete(self, key: str) -> None:
        """Remove it; not an error if it is not there."""


def exists(store: ArtifactStore, key: str) -> bool:
    """Whether the artifact has been written."""
    return store.size(key) is not None


def encode(data: dict[str, Any]) -> bytes:
    """JSON with a stable order, so that equal results are equal bytes."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

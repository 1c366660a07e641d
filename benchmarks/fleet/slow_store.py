"""A store in a directory that answers as slowly as one behind a network, and counts requests."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.artifacts.local import LocalStore

LISTED = 1000  # keys that one request lists, as S3 does


class SlowStore(LocalStore):
    """Each request takes `seconds` more. Any number of threads may wait at once."""

    def __init__(self, root: Path, seconds: float) -> None:
        super().__init__(root)
        self._seconds = seconds
        self.requests: Counter[str] = Counter()

    def put(self, key: str, data: bytes) -> bool:
        self._wait("put")
        return super().put(key, data)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self._wait("get")
        return super().get(key, start, length)

    def size(self, key: str) -> int | None:
        self._wait("head")
        return super().size(key)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        number = -1
        for number, key in enumerate(super().list(prefix, after)):
            if number % LISTED == 0:
                self._wait("list")
            yield key
        if number < 0:
            self._wait("list")

    def delete(self, key: str) -> None:
        self._wait("delete")
        super().delete(key)

    def _wait(self, kind: str) -> None:
        self.requests[kind] += 1
        time.sleep(self._seconds)


def write(root: Path, key: str, data: bytes) -> None:
    """Write an artifact without bringing it to the disk: only the number of files matters."""
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@contextmanager
def slow_cluster(milliseconds: float, **settings: Any) -> Iterator[tuple[Any, SlowStore, Path]]:
    """Yield a cluster with a Redis of its own, its slow store, and the store's root."""
    from pydantic import SecretStr

    from config.settings import Settings
    from orchestrator.cluster.connection import open_cluster
    from orchestrator.local.redis_server import RedisServer

    with tempfile.TemporaryDirectory(prefix="scriptorium-slow-") as directory:
        root = Path(directory) / "store"
        root.mkdir()
        server = RedisServer(Path(directory))
        server.start()
        try:
            url, store = SecretStr(server.url), SlowStore(root, milliseconds / 1000)
            values = Settings(redis_url=url, store_url=root.as_uri(), **settings)
            yield slowed(open_cluster(values), store), store, root
        finally:
            server.stop()


def slowed(cluster: Any, store: SlowStore) -> Any:
    """Return the cluster with that store in every part of it."""
    from dataclasses import replace

    from orchestrator.cluster.connection import REMEMBERED_RECORDS
    from orchestrator.cluster.ended_jobs import EndedJobs
    from orchestrator.cluster.outbox import Outbox
    from orchestrator.usage.books import Books
    from tasks.runs.records import Records
    from tasks.state.cancellations import Cancellations

    changed = replace(
        cluster,
        store=store,
        records=(records := Records(store, REMEMBERED_RECORDS)),
        ended=EndedJobs(store, records),
        outbox=Outbox(store, cluster.redis),
        cancellations=Cancellations(cluster.redis),
    )
    return replace(changed, books=Books.of(changed))

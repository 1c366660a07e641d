"""Which workers cache their reads, and that what was deleted does not stay in their caches."""

from __future__ import annotations

import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import open_cluster
from tasks.artifacts.cached import CachedStore
from tasks.artifacts.cached_files import PREFIX
from tasks.artifacts.local import LocalStore
from tasks.execution.caches import keep_tidy, open_cached_services
from tasks.runs import keys
from tasks.services import open_services
from tests.eventually import eventually
from tests.inputs.examples import TENANT
from tests.unit.counted import Counted

AUDIO = keys.pcm(TENANT, sha256(b"").hexdigest())
COUNTER = "scriptorium_cache_requests_total"


@pytest.fixture
def in_s3(
    settings: Settings,
    s3_endpoint: str,
    s3_shared_client: Any,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    monkeypatch.setattr("tasks.artifacts.s3.s3_client", lambda *_: s3_shared_client)  # it is slow
    changes = {"store_url": f"s3://{bucket}/x", "s3_endpoint_url": s3_endpoint}
    return settings.model_copy(update=changes)


def copies(settings: Settings) -> list[Path]:
    assert settings.work_dir is not None
    return list(settings.work_dir.glob(f"{PREFIX}*/*/*"))


def test_a_worker_reads_audio_in_s3_from_its_memory_and_disk(in_s3: Settings) -> None:
    open_services(in_s3).store.put(AUDIO, b"sound")
    store = open_cached_services(in_s3).store
    with Counted() as grew:
        assert [store.get(AUDIO, 1, 3) for _ in range(3)] == [b"oun"] * 3
        assert open_cached_services(in_s3).store.get(AUDIO, 1, 3) == b"oun"
    assert grew(COUNTER, level="memory", result="hit") == 2
    assert grew(COUNTER, level="memory", result="miss") == 2
    assert grew(COUNTER, level="disk", result="hit") == 1
    assert grew(COUNTER, level="store", result="hit") == 1
    assert len(copies(in_s3)) == 1


@pytest.mark.parametrize("setting", ["cache_memory_bytes", "cache_disk_bytes"])
def test_each_level_can_be_left_out(in_s3: Settings, setting: str) -> None:
    values = in_s3.model_copy(update={setting: 0})
    open_services(in_s3).store.put(AUDIO, b"sound")
    store = open_cached_services(values).store
    with Counted() as grew:
        assert [store.get(AUDIO) for _ in range(2)] == [b"sound"] * 2
    hits = {level: grew(COUNTER, level=level, result="hit") for level in ("memory", "disk")}
    is_memory = setting == "cache_disk_bytes"
    assert hits == {"memory": is_memory, "disk": not is_memory}
    assert bool(copies(values)) is not is_memory


def test_without_a_time_there_are_no_copies(in_s3: Settings) -> None:
    store = open_cached_services(in_s3.model_copy(update={"cache_seconds": 0.0})).store
    assert not isinstance(store, CachedStore)


def test_a_store_in_a_directory_is_read_as_it_is(settings: Settings) -> None:
    assert isinstance(open_cached_services(settings).store, LocalStore)


def test_the_control_plane_copies_nothing(in_s3: Settings) -> None:
    cluster = open_cluster(in_s3)
    assert not isinstance(cluster.store, CachedStore)
    cluster.close()


def test_deleted_audio_leaves_the_caches_though_the_store_was_away(
    in_s3: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.artifacts.cached.FRESH_SECONDS", 0.0)
    store: Any = open_cached_services(in_s3).store
    store.put(AUDIO, b"sound")
    store.get(AUDIO)
    answers: list[None] = []
    real = store._store

    class Away:
        def size(self, key: str) -> int | None:
            if not answers:
                answers.append(None)
                raise StoreUnavailable("It does not answer.")
            size: int | None = real.size(key)
            return size

    store._store = Away()
    real.delete(AUDIO)  # as the API does
    ended = threading.Event()
    thread = threading.Thread(target=keep_tidy, args=(store, ended, 0.01))
    thread.start()
    assert eventually(lambda: not copies(in_s3))
    ended.set()
    thread.join()
    assert answers and not store._memory

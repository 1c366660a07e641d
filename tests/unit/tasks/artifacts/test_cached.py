"""Which level answers a read, what is never copied, and how long a copy outlives its artifact."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from uuid import uuid4

import pytest

from gpu_worker.errors import StoreUnavailable
from tasks.artifacts import ArtifactMissing, exists
from tasks.artifacts.cached import FRESH_SECONDS, OVERHEAD_BYTES, CachedStore
from tasks.artifacts.cached_files import CachedFiles
from tasks.artifacts.memory import MemoryStore

AUDIO, TEXT, RECORD = "audio/1/pcm", "audio/1/text.json", "jobs/1/manifest.json"
PCM = bytes(range(200))
HOUR = 3600.0


class Slow(MemoryStore):
    """A store that counts what it is asked, and answers when it may."""

    def __init__(self) -> None:
        super().__init__(uuid4().hex)
        self.asked: Counter[str] = Counter()
        self.may_answer = Event()
        self.may_answer.set()
        self.is_down = False

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self.asked["get"] += 1
        data = super().get(key, start, length)
        self.may_answer.wait(30)
        return data

    def size(self, key: str) -> int | None:
        self.asked["size"] += 1
        if self.is_down:
            raise StoreUnavailable("It does not answer.")
        return super().size(key)


class Levels:
    """A cached store, what it counted, and the time."""

    def __init__(self, path: Path) -> None:
        self.now = time.time()
        self.store, self.path = Slow(), path
        self.store.put(AUDIO, PCM)
        self.store.put(TEXT, b"{}")
        self.store.put(RECORD, b"{}")
        self.counts: Counter[tuple[str, bool]] = Counter()

    def opened(self, memory_bytes: int = 1 << 20, *, disk: bool = True) -> CachedStore:
        """With the files of the ones before, and a memory of its own."""
        return CachedStore(
            self.store,
            lambda key: AUDIO if key.startswith("audio/1/") else None,
            memory_bytes=memory_bytes,
            seconds=HOUR,
            files=CachedFiles(self.path, "store", 1 << 20, HOUR, lambda: self.now)
            if disk
            else None,
            count=lambda level, found: self.counts.update([(level, found)]),
            clock=lambda: self.now,
        )

    def counted(self) -> dict[tuple[str, bool], int]:
        """What was counted since it was asked last."""
        counts, self.counts = dict(self.counts), Counter()
        return counts


@pytest.fixture
def levels(tmp_path: Path) -> Iterator[Levels]:
    levels = Levels(tmp_path)
    yield levels
    levels.store.may_answer.set()


MISSES = {("memory", False): 1, ("disk", False): 1, ("store", True): 1}


def test_a_read_is_answered_from_the_store_then_from_memory_then_from_the_disk(
    levels: Levels,
) -> None:
    store = levels.opened()
    assert store.get(AUDIO) == PCM
    assert levels.counted() == MISSES
    assert store.get(AUDIO) == PCM
    assert levels.counted() == {("memory", True): 1}
    restarted = levels.opened()
    assert restarted.get(AUDIO) == PCM
    assert levels.counted() == {("memory", False): 1, ("disk", True): 1}
    assert restarted.get(AUDIO) == PCM
    assert levels.counted() == {("memory", True): 1}
    assert levels.store.asked["get"] == 1


@pytest.mark.parametrize(
    ("start", "length"), [(0, None), (0, 10), (10, 10), (10, None), (190, 50), (500, 10), (0, 0)]
)
def test_a_range_from_a_copy_is_the_range_from_the_store(
    levels: Levels, start: int, length: int | None
) -> None:
    store = levels.opened()
    wanted = levels.store.get(AUDIO, start, length)
    assert store.get(AUDIO, 1, 3) == PCM[1:4]  # another range of the same artifact
    assert [store.get(AUDIO, start, length) for _ in range(2)] == [wanted, wanted]
    assert levels.opened().get(AUDIO, start, length) == wanted
    assert levels.store.asked["get"] == 3


def test_a_range_that_cannot_be_is_refused(levels: Levels) -> None:
    with pytest.raises(ValueError):
        levels.opened().get(AUDIO, -1)


def test_what_has_no_anchor_is_never_copied(levels: Levels) -> None:
    store = levels.opened()
    for _ in range(2):
        assert store.get(RECORD) == b"{}"
    assert levels.store.asked["get"] == 2
    assert not levels.counted()
    assert not list(levels.path.rglob("*"))


def test_a_missing_artifact_is_asked_for_each_time(levels: Levels) -> None:
    store = levels.opened()
    for _ in range(2):
        with pytest.raises(ArtifactMissing):
            store.get("audio/1/later.json")
    assert levels.counted()["store", False] == 2
    store.put("audio/1/later.json", b"{}")
    assert store.get("audio/1/later.json") == b"{}"


def test_the_least_recently_used_copy_leaves_memory_first(levels: Levels) -> None:
    store = levels.opened(memory_bytes=3 * (10 + OVERHEAD_BYTES), disk=False)
    for start in (0, 10, 20, 0, 30):
        store.get(AUDIO, start, 10)
    levels.counted()
    for start in (0, 20, 30):
        store.get(AUDIO, start, 10)
    assert levels.counted() == {("memory", True): 3}
    store.get(AUDIO, 10, 10)
    assert levels.counted() == {("memory", False): 1, ("store", True): 1}


def test_what_is_larger_than_memory_is_read_from_the_disk(levels: Levels) -> None:
    store = levels.opened(memory_bytes=100)
    assert [store.get(AUDIO), store.get(AUDIO)] == [PCM, PCM]
    assert levels.counted()["disk", True] == 1


def test_a_copy_in_memory_grows_too_old(levels: Levels) -> None:
    store = levels.opened(disk=False)
    store.get(AUDIO)
    levels.now += HOUR
    store.get(AUDIO)
    assert levels.store.asked["get"] == 2


def test_a_copy_from_the_disk_grows_no_older_in_memory(levels: Levels) -> None:
    levels.opened().get(AUDIO)
    levels.now += HOUR - 1
    store = levels.opened()
    store.get(AUDIO)
    levels.counted()
    levels.now += 1
    store.get(AUDIO)
    assert levels.counted() == MISSES


def test_a_text_leaves_memory_when_it_can_be_used_no_more(levels: Levels) -> None:
    store = levels.opened()
    store.get(TEXT)
    store.get(AUDIO)
    levels.now += FRESH_SECONDS
    store.tidy()
    assert [place.key for place in store._memory] == [AUDIO]


def test_a_damaged_file_is_read_from_the_store_again(levels: Levels) -> None:
    levels.opened().get(AUDIO)
    (path,) = levels.path.glob("*/*/*")
    path.write_bytes(path.read_bytes()[:-1])
    levels.counted()
    assert levels.opened().get(AUDIO) == PCM
    assert levels.counted() == MISSES
    assert levels.opened().get(AUDIO) == PCM
    assert levels.counted()["disk", True] == 1


def test_a_copy_is_used_for_a_minute_without_a_look_at_the_store(levels: Levels) -> None:
    store = levels.opened()
    store.get(AUDIO)
    levels.now += FRESH_SECONDS - 1
    store.get(AUDIO)
    assert levels.store.asked == {"get": 1}
    levels.now += 2
    store.get(AUDIO)
    store.get(AUDIO)
    assert levels.store.asked == {"get": 1, "size": 1}


@pytest.mark.parametrize("level", ["memory", "disk"])
def test_no_copy_of_deleted_audio_is_used_after_a_minute(levels: Levels, level: str) -> None:
    store = levels.opened()
    store.get(AUDIO, 0, 10)
    store.get(TEXT)
    levels.now += FRESH_SECONDS
    levels.store.delete(AUDIO)  # by another process
    levels.store.delete(TEXT)
    if level == "disk":
        store = levels.opened()
    for key in (AUDIO, TEXT):
        with pytest.raises(ArtifactMissing):
            store.get(key, 0, 10 if key == AUDIO else None)
    assert not list(levels.path.glob("*/*/*"))


def test_a_text_that_was_deleted_and_computed_again_is_read_anew_after_a_minute(
    levels: Levels,
) -> None:
    store = levels.opened()
    store.get(TEXT)
    levels.store.delete(TEXT)  # by an operator
    levels.store.put(TEXT, b"{1}")
    assert store.get(TEXT) == b"{}"
    for other in (store, levels.opened()):
        levels.now += FRESH_SECONDS
        levels.counted()
        assert other.get(TEXT) == b"{1}"
        assert levels.counted() == MISSES
        assert other.get(TEXT) == b"{1}"


def test_what_a_stage_writes_the_next_one_reads_from_memory_and_another_process_from_the_disk(
    levels: Levels,
) -> None:
    store, key = levels.opened(), "audio/1/words.json"
    assert store.put(key, b"{}")
    assert [store.get(key), levels.opened().get(key)] == [b"{}", b"{}"]
    assert levels.counted() == {("memory", True): 1, ("memory", False): 1, ("disk", True): 1}
    assert not levels.store.asked


def test_what_another_process_wrote_first_is_read_from_the_store(levels: Levels) -> None:
    store = levels.opened()
    assert not store.put(TEXT, b"{ours}")
    assert store.get(TEXT) == b"{}"


def test_a_copy_is_not_used_while_the_store_cannot_say_whether_the_audio_is_there(
    levels: Levels,
) -> None:
    store = levels.opened()
    store.get(AUDIO)
    levels.now += FRESH_SECONDS
    levels.store.is_down = True
    with pytest.raises(StoreUnavailable):
        store.get(AUDIO)
    levels.store.is_down = False
    assert store.get(AUDIO) == PCM
    assert levels.store.asked["get"] == 1


def test_tidying_drops_copies_of_deleted_audio_that_are_not_asked_for(levels: Levels) -> None:
    levels.opened().get(AUDIO)  # a process that has ended
    store = levels.opened()
    store.get(TEXT)
    store.tidy()
    assert len(list(levels.path.glob("*/*/*"))) == 2 and len(store._memory) == 1
    levels.store.delete(AUDIO)
    levels.now += FRESH_SECONDS
    store.tidy()
    assert not list(levels.path.glob("*/*/*")) and not store._memory and not store._seen_at


def test_a_deletion_through_the_store_drops_all_copies_of_the_audio(levels: Levels) -> None:
    store = levels.opened()
    store.get(AUDIO, 0, 10)
    store.get(TEXT)
    store.delete(AUDIO)
    with pytest.raises(ArtifactMissing):
        store.get(AUDIO, 0, 10)
    assert not list(levels.path.glob("*/*/*")) and not store._memory


def test_a_read_that_a_deletion_overtook_leaves_no_copy(levels: Levels) -> None:
    store = levels.opened()
    levels.store.may_answer.clear()
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(store.get, AUDIO)
        while not levels.store.asked["get"]:
            pass
        store.delete(AUDIO)
        levels.store.may_answer.set()
        assert read.result() == PCM
    with pytest.raises(ArtifactMissing):
        store.get(AUDIO)


def test_threads_that_miss_the_same_read_it_once(levels: Levels) -> None:
    store, threads = levels.opened(), 8
    levels.store.may_answer.clear()
    together = Barrier(threads + 1)

    def read(_: int) -> bytes:
        together.wait()
        return store.get(AUDIO, 0, 50)

    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(read, range(threads))
        together.wait()
        levels.store.may_answer.set()
        assert list(found) == [PCM[:50]] * threads
    assert levels.store.asked["get"] == 1
    assert levels.counted()["memory", True] == threads - 1


def test_threads_that_wait_for_a_read_that_fails_fail_as_it_does(levels: Levels) -> None:
    store = levels.opened()
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(store.get, "audio/1/none.json") for _ in range(4)]
        assert all(isinstance(read.exception(), ArtifactMissing) for read in reads)
    assert not store._reads


def test_all_but_reads_go_to_the_store(levels: Levels, tmp_path: Path) -> None:
    store, inner = levels.opened(), levels.store
    assert store.url == inner.url
    store.get(AUDIO)
    inner.delete(AUDIO)
    assert not exists(store, AUDIO)  # though there is a copy
    file = tmp_path / "file"
    file.write_bytes(b"new")
    assert store.put("a", b"new") and not store.put("a", b"other")
    assert store.put_file("b", file)
    with file.open("rb") as opened:
        assert store.put_stream("c", opened)
    assert [inner.get(key) for key in "abc"] == [b"new"] * 3
    assert list(store.list("", after="a"))[:2] == list(inner.list("", after="a"))[:2]
    store.fetch("c", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"new"
    assert store.presigned_put("d", 1, 1) is None
    store.delete("a")
    assert inner.size("a") is None

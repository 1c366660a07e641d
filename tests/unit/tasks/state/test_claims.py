"""What a job claims stays; what no job claims goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis import Redis

from gpu_worker.errors import StoreUnavailable
from tasks.artifacts import ArtifactStore, encode
from tasks.artifacts.memory import MemoryStore
from tasks.runs import keys
from tasks.state import claims as uses
from tasks.state.claims import claim, release
from tasks.state.leases import Leases
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.examples import TENANT

CONTENT = (
    keys.source(TENANT, "ab"),
    keys.upload(TENANT, "ab"),
    f"tenants/{TENANT}/prepared/ab-0123.json",
    keys.pcm(TENANT, "ab"),
    f"tenants/{TENANT}/audio/ab/transcribe/0-9-0123.json",
)
OTHERS = (keys.source(TENANT, "abc"), keys.pcm(TENANT, "abc"), keys.source("other", "ab"))


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for key in (*CONTENT, *OTHERS):
        store.put(key, b"x")
    return store


@pytest.fixture
def leases(redis: Redis) -> Leases:
    return Leases(redis, 30.0)


def left(store: ArtifactStore) -> set[str]:
    return set(store.list("")) - set(OTHERS)


def test_the_last_job_takes_its_content_with_it(store: MemoryStore, leases: Leases) -> None:
    claim(store, leases, TENANT, "one", ["ab"])
    claim(store, leases, TENANT, "two", ["ab"])
    assert release(store, leases, TENANT, "one", "ab") == 1  # its claim
    assert left(store) == {*CONTENT, keys.uses(TENANT, "ab") + "two"}
    assert release(store, leases, TENANT, "two", "ab") == 1 + len(CONTENT)
    assert left(store) == set()
    assert set(store.list("")) == set(OTHERS)
    assert release(store, leases, TENANT, "two", "ab") == 0


def test_what_was_never_claimed_goes_without_a_job(store: MemoryStore, leases: Leases) -> None:
    assert release(store, leases, TENANT, None, "ab") == len(CONTENT)
    claim(store, leases, TENANT, "one", ["abc"])
    assert release(store, leases, TENANT, None, "abc") == 0


def test_what_is_made_of_parts_stays_for_a_job_that_needs_all_of_them(
    store: MemoryStore, leases: Leases
) -> None:
    claim(store, leases, TENANT, "both", ["left", "right"])
    claim(store, leases, TENANT, "one", ["left"])
    assert release(store, leases, TENANT, "one", "ab", ("left", "right")) == 0
    assert keys.uses(TENANT, "left") + "one" in left(store)
    assert release(store, leases, TENANT, "both", "ab", ("left", "right")) == len(CONTENT)


def test_a_claim_waits_for_a_release_that_is_under_way(
    store: MemoryStore, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the two are interleaved: what is there after the claim stays."""
    listed, may_go_on = threading.Event(), threading.Event()
    real = store.list

    def slow_list(prefix: str) -> Iterator[str]:
        found = list(real(prefix))
        if prefix == keys.uses(TENANT, "ab"):
            listed.set()
            may_go_on.wait(PATIENCE_SECONDS)
        return iter(found)

    monkeypatch.setattr(store, "list", slow_list)
    releasing = threading.Thread(target=release, args=(store, leases, TENANT, "one", "ab"))
    releasing.start()
    assert listed.wait(PATIENCE_SECONDS)
    claiming = threading.Thread(target=claim, args=(store, leases, TENANT, "two", ["ab"]))
    claiming.start()
    claiming.join(0.3)
    assert claiming.is_alive()
    may_go_on.set()
    claiming.join(PATIENCE_SECONDS)
    releasing.join(PATIENCE_SECONDS)
    assert store.size(CONTENT[0]) is None  # so the job that claimed it sees that it is gone


def test_a_claim_that_comes_first_is_seen(store: MemoryStore, leases: Leases) -> None:
    claim(store, leases, TENANT, "two", ["ab"])
    release(store, leases, TENANT, "one", "ab")
    assert store.size(CONTENT[0]) == 1


def test_a_claim_does_not_wait_for_ever(
    store: MemoryStore, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease is that of a release by a process of an earlier version, which writes no mark."""
    monkeypatch.setattr(uses, "PATIENCE_SECONDS", 0.1)
    leases.take(keys.uses(TENANT, "ab"), "release:stuck")
    with pytest.raises(StoreUnavailable):
        claim(store, leases, TENANT, "two", ["ab"])
    store.delete(keys.uses(TENANT, "ab") + "two")
    assert release(store, leases, TENANT, "one", "ab") == 1  # another one is in progress
    assert set(CONTENT) <= left(store)
    leases.release(keys.uses(TENANT, "ab"), "release:stuck")
    claim(store, leases, TENANT, "two", ["ab"])


class InterruptedStore(MemoryStore):
    """Does something else just before or after one of its requests."""

    def __init__(self, at: int, act: Callable[[], object]) -> None:
        super().__init__()
        self._left, self._act = at, act
        for key in (*CONTENT, *OTHERS):
            MemoryStore.put(self, key, b"x")
        self.is_armed = False

    def _step(self) -> None:
        if self.is_armed:
            self._left -= 1
            if self._left == 0:
                self.is_armed = False
                self._act()

    def put(self, key: str, data: bytes) -> bool:
        self._step()
        return super().put(key, data)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self._step()
        return super().get(key, start, length)

    def size(self, key: str) -> int | None:
        self._step()
        return super().size(key)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        self._step()
        return super().list(prefix)

    def delete(self, key: str) -> None:
        self._step()
        super().delete(key)


def claimed(store: MemoryStore, leases: Leases, seen: list[set[str]]) -> None:
    """Claim, and note what is there if that succeeds."""
    try:
        claim(store, leases, TENANT, "two", ["ab"])
    except StoreUnavailable:
        return
    seen.append(left(store) & set(CONTENT))


REQUESTS = 24  # more than a release of this content makes


@pytest.mark.parametrize("at", range(1, REQUESTS))
def test_a_claim_at_any_moment_of_a_release_keeps_what_it_sees_whatever_redis_does(
    redis: Redis, leases: Leases, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "PATIENCE_SECONDS", 0.0)
    seen: list[set[str]] = []

    def wipe_and_claim() -> None:
        redis.flushall()
        claimed(interrupted, leases, seen)

    interrupted = InterruptedStore(at, wipe_and_claim)
    MemoryStore.put(interrupted, keys.uses(TENANT, "ab") + "one", b"")
    interrupted.is_armed = True
    release(interrupted, leases, TENANT, "one", "ab")
    for kept in seen:
        assert kept <= left(interrupted)


@pytest.mark.parametrize("at", range(1, 4))
def test_a_release_at_any_moment_of_a_claim_leaves_what_the_claim_then_sees(
    redis: Redis, leases: Leases, at: int
) -> None:
    interrupted = InterruptedStore(at, lambda: release(interrupted, leases, TENANT, None, "ab"))
    seen: list[set[str]] = []
    interrupted.is_armed = True
    claimed(interrupted, leases, seen)
    assert seen and seen[0] <= left(interrupted)


@pytest.mark.parametrize("at", range(1, REQUESTS))
def test_a_release_that_dies_at_any_moment_is_finished_later(
    leases: Leases, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        monkeypatch.setattr(uses._Release, "end", lambda _: None)
        raise KeyboardInterrupt

    store = InterruptedStore(at, die)
    MemoryStore.put(store, keys.uses(TENANT, "ab") + "one", b"")
    store.is_armed = True
    with suppress(KeyboardInterrupt):
        release(store, leases, TENANT, "one", "ab")
    store.is_armed = False
    monkeypatch.undo()
    leases.release_worker("release")
    if store.size(keys.releasing(TENANT, "ab")) is not None:
        assert release(store, leases, TENANT, "one", "ab") == 1  # it may still be at work
        monkeypatch.setattr(uses, "STALE_SECONDS", 0.0)
    release(store, leases, TENANT, "one", "ab")
    assert left(store) == set()


def test_the_mark_of_a_dead_release_holds_a_claim_up_for_a_while_only(
    store: MemoryStore, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "PATIENCE_SECONDS", 0.0)
    age = 0.9 * uses.STALE_SECONDS
    mark = keys.releasing(TENANT, "ab")
    store.put(mark, encode({"owner": "release:dead", "since": time.time() - age}))
    with pytest.raises(StoreUnavailable):
        claim(store, leases, TENANT, "two", ["ab"])
    store.delete(mark)
    age = 1.1 * uses.STALE_SECONDS
    store.put(mark, encode({"owner": "release:dead", "since": time.time() - age}))
    claim(store, leases, TENANT, "two", ["ab"])
    assert left(store) == {*CONTENT, keys.uses(TENANT, "ab") + "two"}


@pytest.mark.parametrize("sign", ["a new claim", "no mark", "too late"])
def test_a_release_that_was_held_up_looks_before_it_goes_on(
    store: MemoryStore, leases: Leases, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    monkeypatch.setattr(uses, "LOOK_EVERY", 1)
    real, gone = store.delete, []

    def delete(key: str) -> None:
        if key in CONTENT:
            gone.append(key)
            if sign == "a new claim":
                store.put(keys.uses(TENANT, "ab") + "two", b"")
            elif sign == "no mark":
                real(keys.releasing(TENANT, "ab"))
            else:
                monkeypatch.setattr(uses, "HOLD_SECONDS", 0.0)
        real(key)

    monkeypatch.setattr(store, "delete", delete)
    assert release(store, leases, TENANT, None, "ab") == len(gone) == 1


def test_nothing_of_this_needs_redis(store: MemoryStore, no_redis: Redis) -> None:
    leases = Leases(no_redis, 30.0)
    claim(store, leases, TENANT, "one", ["ab"])
    assert release(store, leases, TENANT, "one", "ab") == 1 + len(CONTENT)
    assert left(store) == set()


@pytest.mark.slow
def test_a_long_release_keeps_processes_of_earlier_versions_off_all_the_time(
    store: MemoryStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "LOOK_EVERY", 1)
    leases, seen = Leases(redis, 60.0), []
    real = store.delete

    def slow_delete(key: str) -> None:
        if key in CONTENT:
            (lease,) = redis.scan_iter("*")
            seen.append(redis.pttl(lease) > 30_000)
            redis.pexpire(lease, 20_000)  # as if it had taken 40 s
        real(key)

    monkeypatch.setattr(store, "delete", slow_delete)
    release(store, leases, TENANT, None, "ab")
    assert seen == [True] * len(CONTENT)
    assert leases.held([keys.uses(TENANT, "ab")]) == [False]


def test_names_of_leases_are_their_keys(leases: Leases, redis: Redis) -> None:
    leases.take("a/b", "worker:1")
    leases.take("c", "worker:1")
    assert sorted(leases.names()) == ["a/b", "c"]
    held: Any = redis.keys("*")
    assert len(held) == 2

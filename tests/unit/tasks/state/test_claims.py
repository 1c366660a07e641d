"""What a job claims stays; what nobody claims goes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from gpu_worker.errors import RedisUnavailable, StoreUnavailable
from tasks.artifacts import ArtifactStore
from tasks.artifacts.memory import MemoryStore
from tasks.runs import keys
from tasks.state import claims as uses
from tasks.state.claims import claim, release
from tasks.state.leases import Leases
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


def test_what_nobody_ever_claimed_goes_without_a_job(store: MemoryStore, leases: Leases) -> None:
    assert release(store, leases, TENANT, None, "ab") == len(CONTENT)
    claim(store, leases, TENANT, "one", ["abc"])
    assert release(store, leases, TENANT, None, "abc") == 0


def test_what_is_made_of_parts_stays_for_whoever_needs_all_of_them(
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
            may_go_on.wait(5)
        return iter(found)

    monkeypatch.setattr(store, "list", slow_list)
    releasing = threading.Thread(target=release, args=(store, leases, TENANT, "one", "ab"))
    releasing.start()
    assert listed.wait(5)
    claiming = threading.Thread(target=claim, args=(store, leases, TENANT, "two", ["ab"]))
    claiming.start()
    claiming.join(0.3)
    assert claiming.is_alive()
    may_go_on.set()
    claiming.join(5)
    releasing.join(5)
    assert store.size(CONTENT[0]) is None  # so whoever claimed it sees that it is gone


def test_a_claim_that_comes_first_is_seen(store: MemoryStore, leases: Leases) -> None:
    claim(store, leases, TENANT, "two", ["ab"])
    release(store, leases, TENANT, "one", "ab")
    assert store.size(CONTENT[0]) == 1


def test_a_claim_does_not_wait_for_ever(
    store: MemoryStore, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "PATIENCE_SECONDS", 0.1)
    leases.take(keys.uses(TENANT, "ab"), "release:stuck")
    with pytest.raises(StoreUnavailable):
        claim(store, leases, TENANT, "two", ["ab"])
    assert release(store, leases, TENANT, "one", "ab") == 0  # somebody else is at it
    leases.release(keys.uses(TENANT, "ab"), "release:stuck")
    claim(store, leases, TENANT, "two", ["ab"])


def test_nothing_is_claimed_while_redis_is_away(store: MemoryStore, no_redis: Redis) -> None:
    with pytest.raises(RedisUnavailable):
        claim(store, Leases(no_redis, 30.0), TENANT, "one", ["ab"])


@pytest.mark.slow
def test_a_long_release_keeps_others_off_all_the_time(
    store: MemoryStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "RENEWED_EVERY", 1)
    leases, seen = Leases(redis, 0.2), []
    real = store.delete

    def slow_delete(key: str) -> None:
        threading.Event().wait(0.12)
        seen.append(leases.held([keys.uses(TENANT, "ab")]))
        real(key)

    monkeypatch.setattr(store, "delete", slow_delete)
    release(store, leases, TENANT, None, "ab")
    assert seen == [[True]] * len(CONTENT)
    assert leases.held([keys.uses(TENANT, "ab")]) == [False]


def test_names_of_leases_are_their_keys(leases: Leases, redis: Redis) -> None:
    leases.take("a/b", "worker:1")
    leases.take("c", "worker:1")
    assert sorted(leases.names()) == ["a/b", "c"]
    held: Any = redis.keys("*")
    assert len(held) == 2

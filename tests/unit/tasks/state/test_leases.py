"""One worker has a lease at a time, and no worker has it for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from tasks.state.leases import Leases
from tests.eventually import eventually


@pytest.fixture
def leases(redis: Redis) -> Leases:
    return Leases(redis, 30.0)


def test_only_one_of_many_takes_it(leases: Leases) -> None:
    with ThreadPoolExecutor(8) as pool:
        took = list(pool.map(lambda n: leases.take("key", f"worker{n}:x"), range(32)))
    assert took.count(True) == 1


def test_its_holder_renews_it(leases: Leases, redis: Redis) -> None:
    leases.take("key", "a:1")
    (name,) = redis.keys()
    redis.pexpire(name, 1000)
    assert leases.take("key", "a:1")
    assert 1000 < redis.pttl(name) <= 30_000


def test_it_expires_by_itself(redis: Redis) -> None:
    short = Leases(redis, 0.05)
    short.take("key", "a:1")
    assert eventually(lambda: short.take("key", "b:1"))


def test_a_lease_that_redis_forgot_is_taken_again(leases: Leases, redis: Redis) -> None:
    leases.take("key", "a:1")
    redis.flushall()
    assert leases.take("key", "a:1")


def test_a_released_lease_is_free(leases: Leases) -> None:
    leases.take("key", "a:1")
    leases.release("key", "a:1")
    assert leases.take("key", "b:1")


def test_nobody_releases_the_lease_of_another(leases: Leases) -> None:
    leases.take("key", "a:1")
    leases.release("key", "b:1")
    assert not leases.take("key", "b:1")


def test_a_reserved_lease_waits_for_its_task_alone(leases: Leases) -> None:
    leases.reserve("key", "task-1", 5.0)
    assert leases.held(["key"]) == [True]
    assert not leases.take("key", "b:1", "task-2")
    assert leases.take("key", "a:1", "task-1")


def test_a_reservation_outlives_its_delay(leases: Leases, redis: Redis) -> None:
    leases.reserve("key", "task-1", 5.0)
    (name,) = redis.keys()
    assert 30_000 < redis.pttl(name) <= 35_000


def test_which_are_held(leases: Leases) -> None:
    leases.take("b", "a:1")
    assert leases.held(["a", "b"]) == [False, True]
    assert leases.held([]) == []


def test_all_leases_of_a_dead_worker_are_given_up(leases: Leases) -> None:
    owners: dict[str, Any] = {"a": "gpu1@x:1", "b": "gpu1@x:2", "c": "gpu1@xy:3", "d": "gpu2@x:4"}
    for key, owner in owners.items():
        leases.take(key, owner)
    assert leases.release_worker("gpu1@x") == 2
    assert leases.held(list(owners)) == [False, False, True, True]


def test_which_workers_hold_a_lease(leases: Leases) -> None:
    assert leases.workers() == frozenset()
    for key, owner in {"a": "gpu1@x:1", "b": "gpu1@x:2", "c": "gpu:2@x:3"}.items():
        leases.take(key, owner)
    leases.reserve("d", "task-1", 5.0)
    assert leases.workers() == {"gpu1@x", "gpu:2@x"}


def test_a_worker_renews_all_its_leases_at_once_and_learns_which_are_lost(
    leases: Leases, redis: Redis
) -> None:
    for key, owner in (("own", "me:1"), ("lost", "other:1"), ("waits", "me:3")):
        leases.take(key, owner)
    leases.reserve("waits", "a task", 10.0)
    redis.pexpire("scriptorium:lease:own", 1000)
    held = [("own", "me:1"), ("lost", "me:2"), ("forgotten", "me:1"), ("waits", "me:3")]
    assert leases.renew(held) == [True, False, True, False]
    assert redis.pttl("scriptorium:lease:own") > 1000
    assert leases.held(["own", "forgotten"]) == [True, True]
    assert leases.renew([]) == []

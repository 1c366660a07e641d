"""Leases live while their work does; a hung unit ends its process."""

from __future__ import annotations

import subprocess
import sys

import pytest
from redis import Redis

from tasks.execution.watchdog import EXIT_HUNG, Watchdog
from tasks.state.leases import Leases
from tests.eventually import eventually
from tests.unit import counted

BEAT = 0.01


def test_a_lease_that_redis_lost_is_back_at_the_next_beat(redis: Redis) -> None:
    leases = Leases(redis, 30.0)
    with Watchdog(leases, BEAT).watch("key", "me:1", 60.0):
        assert eventually(lambda: leases.held(["key"]) == [True])
        redis.flushall()
        assert eventually(lambda: leases.held(["key"]) == [True])


@pytest.mark.slow
def test_a_lease_outlives_its_length_while_the_work_goes_on(redis: Redis) -> None:
    leases = Leases(redis, 0.2)
    redis.set("old", 1, px=1000)  # five lengths of the lease
    leases.take("key", "me:1")
    with Watchdog(leases, BEAT).watch("key", "me:1", 60.0):
        assert eventually(lambda: not redis.exists("old"))
        assert leases.held(["key"]) == [True]


def test_nothing_is_renewed_after_the_work(redis: Redis) -> None:
    leases = Leases(redis, 30.0)
    watchdog = Watchdog(leases, BEAT)
    with watchdog.watch("key", "me:1", 60.0):
        pass
    leases.release("key", "me:1")
    with watchdog.watch("other", "me:2", 60.0):
        assert eventually(lambda: leases.held(["other"]) == [True])
        assert leases.held(["key"]) == [False]


class Counted(Leases):
    """Counts how often a lease was asked for."""

    beats = 0

    def take(self, key: str, owner: str, task_id: str = "") -> bool:
        self.beats += 1
        return super().take(key, owner, task_id)


def test_the_work_goes_on_when_another_has_the_lease(redis: Redis) -> None:
    leases = Counted(redis, 30.0)
    leases.take("key", "somebody:1")
    with Watchdog(leases, BEAT).watch("key", "me:1", 60.0):
        assert eventually(lambda: leases.beats > 2)
    leases.release("key", "me:1")
    assert leases.held(["key"]) == [True]


def test_a_lease_that_was_lost_is_counted_once(redis: Redis) -> None:
    leases = Counted(redis, 30.0)
    leases.take("key", "somebody:1")
    watchdog = Watchdog(leases, BEAT)
    with counted.Counted() as grew:
        for owner in ("me:1", "me:2"):
            before = leases.beats
            with watchdog.watch("key", owner, 60.0):
                assert eventually(lambda: leases.beats > before + 3)  # noqa: B023
    assert grew("scriptorium_leases_lost_total") == 2


def test_the_work_goes_on_without_redis(no_redis: Redis) -> None:
    leases = Counted(no_redis, 30.0)
    with Watchdog(leases, BEAT).watch("key", "me:1", 60.0):
        assert eventually(lambda: leases.beats > 2)


@pytest.mark.slow
def test_a_hung_unit_gives_its_lease_up_and_ends_the_process(redis: Redis, redis_url: str) -> None:
    code = (
        "import sys, threading\n"
        "from redis import Redis\n"
        "from tasks.state.leases import Leases\n"
        "from tasks.execution.watchdog import Watchdog\n"
        "leases = Leases(Redis.from_url(sys.argv[1]), 30.0)\n"
        "leases.take('key', 'me:1')\n"
        "with Watchdog(leases, 0.01).watch('key', 'me:1', 0.02):\n"
        "    threading.Event().wait()  # for ever\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, redis_url], capture_output=True, text=True, check=False
    )
    assert child.returncode == EXIT_HUNG
    assert "Thread" in child.stderr and "line 7" in child.stderr
    assert Leases(redis, 30.0).held(["key"]) == [False]

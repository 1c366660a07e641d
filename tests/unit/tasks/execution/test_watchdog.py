"""Leases live while their work does; a hung unit ends its process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.execution.watchdog import EXIT_HUNG, Watchdog
from tasks.state.attempts import Attempts
from tasks.state.leases import Leases
from tests.eventually import eventually
from tests.inputs.examples import a_unit
from tests.unit import counted

BEAT = 0.01


Watchdogs = Callable[[Leases, Attempts, float], Watchdog]


@pytest.fixture
def watchdogs() -> Iterator[Watchdogs]:
    """Watchdogs whose threads end with the test."""
    made: list[Watchdog] = []

    def make(leases: Leases, attempts: Attempts, seconds: float) -> Watchdog:
        made.append(Watchdog(leases, attempts, seconds))
        return made[-1]

    yield make
    for watchdog in made:
        watchdog.end()


def test_one_that_is_ended_leaves_no_thread(redis: Redis) -> None:
    watchdog = Watchdog(Leases(redis, 30.0), Attempts(redis), 3600.0)
    with watchdog.watch("key", "me:1", 60.0):
        thread = watchdog._thread
        assert thread is not None and thread.is_alive()
    watchdog.end()
    assert not thread.is_alive()


def test_a_lease_that_redis_lost_is_back_at_the_next_beat(
    watchdogs: Watchdogs, redis: Redis
) -> None:
    leases = Leases(redis, 30.0)
    with watchdogs(leases, Attempts(redis), BEAT).watch("key", "me:1", 60.0):
        assert eventually(lambda: leases.held(["key"]) == [True])
        redis.flushall()
        assert eventually(lambda: leases.held(["key"]) == [True])


def test_a_lease_outlives_its_length_while_the_work_goes_on(
    watchdogs: Watchdogs, redis: Redis
) -> None:
    leases = Leases(redis, 60.0)
    leases.take("key", "me:1")
    (lease,) = redis.scan_iter("*")
    redis.pexpire(lease, 20_000)  # as if 40 s had passed
    with watchdogs(leases, Attempts(redis), BEAT).watch("key", "me:1", 60.0):
        assert eventually(lambda: int(redis.pttl(lease)) > 30_000)


def test_nothing_is_renewed_after_the_work(watchdogs: Watchdogs, redis: Redis) -> None:
    leases = Leases(redis, 30.0)
    watchdog = watchdogs(leases, Attempts(redis), BEAT)
    with watchdog.watch("key", "me:1", 60.0):
        pass
    leases.release("key", "me:1")
    with watchdog.watch("other", "me:2", 60.0):
        assert eventually(lambda: leases.held(["other"]) == [True])
        assert leases.held(["key"]) == [False]


def test_leases_that_were_let_go_are_not_taken_again(watchdogs: Watchdogs, redis: Redis) -> None:
    leases = Counted(redis, 30.0)
    watchdog = watchdogs(leases, Attempts(redis), BEAT)
    with watchdog.watch("key", "me:1", 60.0):
        assert eventually(lambda: leases.held(["key"]) == [True])
        watchdog.release_all()
        beats = leases.beats
        time.sleep(20 * BEAT)
        assert leases.held(["key"]) == [False] and leases.beats == beats


class Counted(Leases):
    """Counts how often leases were renewed."""

    beats = 0

    def renew(self, held: Sequence[tuple[str, str]]) -> list[bool]:
        self.beats += bool(held)
        return super().renew(held)


def test_the_work_goes_on_when_another_has_the_lease(watchdogs: Watchdogs, redis: Redis) -> None:
    leases = Counted(redis, 30.0)
    leases.take("key", "somebody:1")
    with watchdogs(leases, Attempts(redis), BEAT).watch("key", "me:1", 60.0):
        assert eventually(lambda: leases.beats > 2)
    leases.release("key", "me:1")
    assert leases.held(["key"]) == [True]


def test_a_lease_that_was_lost_is_counted_once(watchdogs: Watchdogs, redis: Redis) -> None:
    leases = Counted(redis, 30.0)
    leases.take("key", "somebody:1")
    watchdog = watchdogs(leases, Attempts(redis), BEAT)
    with counted.Counted() as grew:
        for owner in ("me:1", "me:2"):
            before = leases.beats
            with watchdog.watch("key", owner, 60.0):
                assert eventually(lambda: leases.beats > before + 3)  # noqa: B023
    assert grew("scriptorium_leases_lost_total") == 2


def test_the_work_goes_on_without_redis(watchdogs: Watchdogs, no_redis: Redis) -> None:
    leases = Counted(no_redis, 30.0)
    with watchdogs(leases, Attempts(no_redis), BEAT).watch("key", "me:1", 60.0):
        assert eventually(lambda: leases.beats > 2)


@pytest.mark.slow
def test_a_hung_unit_gives_its_lease_up_and_ends_the_process(redis: Redis, redis_url: str) -> None:
    code = (
        "import sys, threading\n"
        "from redis import Redis\n"
        "from tasks.state.attempts import Attempts\n"
        "from tasks.state.leases import Leases\n"
        "from tests.inputs.examples import a_unit\n"
        "from tasks.execution.watchdog import Watchdog\n"
        "redis = Redis.from_url(sys.argv[1])\n"
        "leases, attempts = Leases(redis, 30.0), Attempts(redis)\n"
        "leases.take('key', 'me:1')\n"
        "attempts.begin(a_unit()), attempts.begin(a_unit(index=1))\n"
        "watchdog = Watchdog(leases, attempts, 0.01)\n"
        "with watchdog.watch('key', 'me:1', 0.5, a_unit()):\n"
        "    threading.Event().wait()  # for ever\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, redis_url], capture_output=True, text=True, check=False
    )
    assert child.returncode == EXIT_HUNG
    assert "Thread" in child.stderr and "line 13" in child.stderr
    assert Leases(redis, 30.0).held(["key"]) == [False]
    attempts = Attempts(redis)
    assert attempts.deaths(a_unit()).of_unit == 1
    assert attempts.deaths(a_unit(index=1)).of_unit == 0  # its neighbour is not to blame


@pytest.mark.slow
def test_a_hung_batch_is_charged_to_all_of_its_units_and_to_no_other(
    redis: Redis, redis_url: str
) -> None:
    code = (
        "import sys, threading\n"
        "from redis import Redis\n"
        "from tasks.state.attempts import Attempts\n"
        "from tasks.state.leases import Leases\n"
        "from tests.inputs.examples import a_unit\n"
        "from tasks.execution.watchdog import Watchdog\n"
        "redis = Redis.from_url(sys.argv[1])\n"
        "attempts = Attempts(redis)\n"
        "watchdog = Watchdog(Leases(redis, 30.0), attempts, 0.01)\n"
        "ready = threading.Barrier(4)\n"
        "def work(index, turn, seconds):\n"
        "    attempts.begin(a_unit(index=index))\n"
        "    ready.wait()\n"
        "    unit = a_unit(index=index)\n"
        "    with watchdog.watch(f'{index}', f'me:{index}', seconds, unit), turn():\n"
        "        threading.Event().wait()\n"
        "one, other = (lambda: watchdog.running('a'), lambda: watchdog.running('b'))\n"
        "turns = (one, one, watchdog.waiting, other)  # the last is in another model's batch\n"
        "for index, turn in enumerate(turns):\n"
        "    seconds = 2.0 if index == 0 else 60.0\n"
        "    threading.Thread(target=work, args=(index, turn, seconds)).start()\n"
    )
    child = subprocess.run([sys.executable, "-c", code, redis_url], check=False)
    assert child.returncode == EXIT_HUNG
    attempts = Attempts(redis)
    assert [attempts.deaths(a_unit(index=index)).of_unit for index in range(4)] == [1, 1, 0, 0]


def test_time_that_is_granted_does_not_count(watchdogs: Watchdogs, redis: Redis) -> None:
    watchdog = watchdogs(Leases(redis, 30.0), Attempts(redis), 60.0)
    with watchdog.watch("key", "me:1", 60.0):
        before = watchdog._running["me:1"].deadline
        with watchdog.grant(3600.0):
            assert watchdog._running["me:1"].deadline == pytest.approx(before + 3600.0)
        after = watchdog._running["me:1"].deadline
        assert before < after < before + 5.0


def test_tokens_of_tries_that_ended_without_redis_are_taken_back_later(
    watchdogs: Watchdogs, redis: Redis
) -> None:
    attempts = Attempts(redis)
    token = attempts.begin(a_unit())
    execute = attempts._redis.pipeline
    attempts._redis.pipeline = _away  # type: ignore[method-assign]
    attempts.survived(token)
    attempts._redis.pipeline = execute  # type: ignore[method-assign]
    watchdog = watchdogs(Leases(redis, 30.0), attempts, BEAT)
    with watchdog.watch("key", "me:1", 60.0):
        assert eventually(lambda: redis.scard(f"scriptorium:begun:{a_unit().name}") == 0)


def _away(*_: object, **__: object) -> Any:
    class Away:
        """A pipeline whose server does not answer."""

        def srem(self, *_: object) -> None: ...

        def execute(self) -> None:
            raise RedisConnectionError("away")

    return Away()

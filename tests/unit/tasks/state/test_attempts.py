"""Only tries that their process did not survive are counted."""

from __future__ import annotations

from redis import Redis

from tasks.runs.units import Unit
from tasks.state.attempts import Attempts, Deaths
from tests.inputs.examples import a_unit


def died(redis: Redis, unit: Unit) -> None:
    """A process begins the unit and is gone."""
    Attempts(redis).begin(unit)


def test_deaths_add_up(redis: Redis) -> None:
    for number in range(3):
        assert Attempts(redis).deaths(a_unit()).of_unit == number
        died(redis, a_unit())


def test_a_try_that_was_survived_does_not_count(redis: Redis) -> None:
    attempts = Attempts(redis)
    attempts.survived(attempts.begin(a_unit()))
    assert attempts.deaths(a_unit()) == Deaths(0, 0)


def test_each_run_and_each_chunk_is_counted_for_itself(redis: Redis) -> None:
    died(redis, a_unit())
    attempts = Attempts(redis)
    assert attempts.deaths(a_unit(run=2)).of_unit == 0
    assert attempts.deaths(a_unit(index=1)).of_unit == 0


def test_units_of_a_run_that_were_given_up_are_counted_once_each(redis: Redis) -> None:
    attempts = Attempts(redis)
    for index in (0, 1, 1):
        attempts.crash(a_unit(index=index))
    assert attempts.deaths(a_unit(index=7)).units_of_run == 2
    assert attempts.deaths(a_unit(run=2)).units_of_run == 0


def test_a_process_that_ends_by_its_own_fault_blames_no_unit(redis: Redis) -> None:
    attempts = Attempts(redis)
    for index in (0, 1):
        attempts.begin(a_unit(index=index))
    attempts.forgive(but=[a_unit()])
    assert attempts.deaths(a_unit()).of_unit == 1
    assert attempts.deaths(a_unit(index=1)).of_unit == 0
    attempts.forgive()
    assert attempts.deaths(a_unit()).of_unit == 0


def test_a_wipe_during_a_try_leaves_no_count_below_nothing(redis: Redis) -> None:
    attempts = Attempts(redis)
    token = attempts.begin(a_unit())
    redis.flushall()
    attempts.survived(token)
    assert attempts.deaths(a_unit()).of_unit == 0


def test_counts_do_not_stay_for_ever(redis: Redis) -> None:
    died(redis, a_unit())
    Attempts(redis).crash(a_unit())
    assert all(redis.ttl(name) > 0 for name in redis.scan_iter())

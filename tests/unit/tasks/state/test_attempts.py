"""Only attempts that their process did not survive are counted."""

from __future__ import annotations

from redis import Redis

from tasks.state.attempts import Attempts
from tests.inputs.examples import a_unit


def test_deaths_add_up(redis: Redis) -> None:
    attempts = Attempts(redis)
    assert [attempts.begin(a_unit()) for _ in range(3)] == [1, 2, 3]


def test_an_attempt_that_was_survived_does_not_count(redis: Redis) -> None:
    attempts = Attempts(redis)
    attempts.begin(a_unit())
    attempts.survived(a_unit())
    assert attempts.begin(a_unit()) == 1


def test_each_run_and_each_chunk_is_counted_for_itself(redis: Redis) -> None:
    attempts = Attempts(redis)
    attempts.begin(a_unit())
    assert attempts.begin(a_unit(run=2)) == 1
    assert attempts.begin(a_unit(index=1)) == 1


def test_counts_do_not_stay_for_ever(redis: Redis) -> None:
    Attempts(redis).begin(a_unit())
    (name,) = redis.keys()
    assert redis.ttl(name) > 0

"""The flag of a canceled run belongs to that run alone."""

from __future__ import annotations

from redis import Redis

from tasks.state.cancellations import Cancellations
from tests.inputs.examples import a_run


def test_a_canceled_run_is_canceled_for_all_its_units(redis: Redis) -> None:
    cancellations = Cancellations(redis)
    assert not cancellations.is_canceled(a_run())
    cancellations.flag(a_run())
    assert cancellations.is_canceled(a_run())


def test_the_next_run_and_other_jobs_are_not_canceled(redis: Redis) -> None:
    cancellations = Cancellations(redis)
    cancellations.flag(a_run())
    assert not cancellations.is_canceled(a_run(2))
    assert not cancellations.is_canceled(a_run(job="job-2"))


def test_the_flag_does_not_stay_for_ever(redis: Redis) -> None:
    Cancellations(redis).flag(a_run())
    (name,) = redis.scan_iter()
    assert redis.ttl(name) > 0

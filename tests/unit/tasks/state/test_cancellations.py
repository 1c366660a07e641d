"""A cancellation is written down before it is shown, and belongs to one run."""

from __future__ import annotations

from redis import Redis

from tasks.artifacts.memory import MemoryStore
from tasks.runs import keys
from tasks.state.cancellations import Cancellations
from tests.inputs.examples import a_run


def test_a_canceled_run_is_canceled_for_all_its_units(redis: Redis) -> None:
    store = MemoryStore()
    cancellations = Cancellations(redis, store)
    cancellations.cancel(a_run())
    assert cancellations.is_canceled(a_run())
    assert store.size(keys.of_run(a_run(), "canceled")) == 0


def test_the_next_run_and_other_jobs_are_not_canceled(redis: Redis) -> None:
    cancellations = Cancellations(redis, MemoryStore())
    cancellations.cancel(a_run())
    assert not cancellations.is_canceled(a_run(2))
    assert not cancellations.is_canceled(a_run(job="job-2"))


def test_the_flag_can_be_shown_again_after_a_wipe(redis: Redis) -> None:
    cancellations = Cancellations(redis, MemoryStore())
    cancellations.cancel(a_run())
    redis.flushall()
    assert not cancellations.is_canceled(a_run())
    cancellations.flag(a_run())
    assert cancellations.is_canceled(a_run())

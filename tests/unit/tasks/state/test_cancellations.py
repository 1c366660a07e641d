"""A cancellation is written down before it is shown, and belongs to one run."""

from __future__ import annotations

from redis import Redis

from tasks.artifacts.memory import MemoryStore
from tasks.runs import keys
from tasks.state.cancellations import Cancellations
from tests.inputs.examples import a_unit


def test_a_canceled_run_is_canceled_for_all_its_units(redis: Redis) -> None:
    store = MemoryStore()
    cancellations = Cancellations(redis, store)
    cancellations.cancel(a_unit())
    assert cancellations.is_canceled(a_unit(index=7))
    assert store.size(keys.run(a_unit(), "canceled")) == 0


def test_the_next_run_and_other_jobs_are_not_canceled(redis: Redis) -> None:
    cancellations = Cancellations(redis, MemoryStore())
    cancellations.cancel(a_unit())
    assert not cancellations.is_canceled(a_unit(run=2))
    assert not cancellations.is_canceled(a_unit(job="job-2"))


def test_the_flag_can_be_shown_again_after_a_wipe(redis: Redis) -> None:
    cancellations = Cancellations(redis, MemoryStore())
    cancellations.cancel(a_unit())
    redis.flushall()
    assert not cancellations.is_canceled(a_unit())
    cancellations.flag(a_unit())
    assert cancellations.is_canceled(a_unit())

"""What is owed is an artifact; Redis only says when."""

from __future__ import annotations

import json

import pytest
from redis import Redis

from orchestrator.cluster.outbox import Outbox
from tasks.artifacts.memory import MemoryStore
from tasks.runs import keys
from tests.eventually import eventually
from tests.inputs.examples import a_run

RUN, NEXT = a_run(), a_run(2)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("outbox")


@pytest.fixture
def outbox(store: MemoryStore, redis: Redis) -> Outbox:
    return Outbox(store, redis)


def test_what_is_added_is_an_artifact_and_due_at_once(outbox: Outbox, store: MemoryStore) -> None:
    outbox.add(RUN)
    assert json.loads(store.get(keys.owed(RUN)))["ended_at"] > 1e9
    assert outbox.take(8, 30.0) == [RUN]


def test_a_run_that_is_added_twice_has_ended_once(outbox: Outbox, store: MemoryStore) -> None:
    outbox.add(RUN)
    first = store.get(keys.owed(RUN))
    outbox.add(RUN)
    assert store.get(keys.owed(RUN)) == first
    assert outbox.take(8, 30.0) == [RUN]


def test_what_is_taken_is_one_s_alone_until_its_time_is_over(outbox: Outbox) -> None:
    outbox.add(RUN)
    assert outbox.take(8, 30.0) == [RUN]
    assert outbox.take(8, 30.0) == []
    outbox.keep([RUN], 0.1)
    assert eventually(lambda: outbox.take(8, 30.0) == [RUN])


def test_no_more_is_taken_than_asked_for(outbox: Outbox) -> None:
    outbox.add(RUN)
    outbox.add(NEXT)
    assert len(outbox.take(1, 30.0)) == len(outbox.take(1, 30.0)) == 1
    assert outbox.take(1, 30.0) == []


class Rewritten(MemoryStore):
    """A store where another process adds the run again while it is removed."""

    outbox: Outbox

    def delete(self, key: str) -> None:
        super().delete(key)
        self.outbox.add(RUN)


def test_a_run_that_is_added_while_it_is_removed_is_due(redis: Redis) -> None:
    store = Rewritten("outbox")
    outbox = store.outbox = Outbox(store, redis)
    outbox.add(RUN)
    outbox.take(8, 30.0)
    outbox.remove(RUN)
    assert store.size(keys.owed(RUN)) is not None
    assert outbox.take(8, 30.0) == [RUN]


def test_what_is_held_stays_with_whoever_has_it(outbox: Outbox) -> None:
    outbox.add(RUN)
    outbox.take(8, 0.0)
    outbox.keep([RUN], 30.0)
    assert outbox.take(8, 30.0) == []
    outbox.keep([], 30.0)


def test_holding_brings_nothing_back(outbox: Outbox) -> None:
    outbox.add(RUN)
    outbox.remove(RUN)
    outbox.keep([RUN], 0.0)
    assert outbox.take(8, 30.0) == []


def test_what_is_postponed_is_due_then(outbox: Outbox) -> None:
    outbox.add(RUN)
    outbox.take(8, 30.0)
    outbox.postpone(RUN, 0.0)
    assert outbox.take(8, 30.0) == [RUN]
    outbox.postpone(RUN, 30.0)
    assert outbox.take(8, 30.0) == []


def test_after_a_wipe_everything_is_due_and_nothing_twice(
    outbox: Outbox, store: MemoryStore, redis: Redis
) -> None:
    outbox.add(RUN)
    outbox.postpone(RUN, 3600.0)
    outbox.restore()  # changes nothing that Redis knows
    assert outbox.take(8, 30.0) == []
    redis.flushall()
    outbox.restore()
    assert outbox.take(8, 30.0) == [RUN]
    outbox.remove(RUN)
    outbox.restore()
    assert outbox.take(8, 30.0) == []
    assert list(store.list("")) == []

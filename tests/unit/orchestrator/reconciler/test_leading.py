"""One of several reconcilers leads, also beside an earlier version that wrote the lock itself."""

from __future__ import annotations

import pytest
from redis import Redis

from orchestrator.reconciler import leading as module
from orchestrator.reconciler.leading import KEY, Leading, LeadLost
from tests.eventually import eventually
from tests.unit.orchestrator.reconciler.passes import Clock, is_renewed


def leads_as_before(redis: Redis, name: bytes, milliseconds: int) -> bool:
    """What earlier versions of the reconciler did before each pass."""
    if redis.set(KEY, name, nx=True, px=milliseconds):
        return True
    if redis.get(KEY) != name:
        return False
    redis.pexpire(KEY, milliseconds)
    return True


def test_one_leads_until_it_lets_go(redis: Redis) -> None:
    first, second = Leading(redis, 1.0), Leading(redis, 1.0)
    assert first.take() and not second.take()
    assert first.take() and first.is_held and not second.is_held
    first.release()
    assert not first.is_held
    assert second.take() and not first.take()


def test_an_older_reconciler_that_leads_is_respected(redis: Redis) -> None:
    assert leads_as_before(redis, b"older", 60_000)
    newer = Leading(redis, 1.0)
    assert not newer.take()
    newer.release()
    assert leads_as_before(redis, b"older", 60_000)
    assert not newer.take()
    redis.pexpire(KEY, 1)  # it has ended
    assert eventually(newer.take)


def test_an_older_reconciler_respects_the_one_that_leads(redis: Redis) -> None:
    newer = Leading(redis, 1.0)
    assert newer.take()
    assert not leads_as_before(redis, b"older", 60_000)
    assert newer.take()
    newer.release()
    assert leads_as_before(redis, b"older", 60_000)


def test_the_lock_expires_by_itself(redis: Redis) -> None:
    assert Leading(redis, 1.0).take()
    assert 5_000 < redis.pttl(KEY) <= 10_000  # less than ten after a moment on a busy machine


@pytest.mark.slow
def test_the_lock_is_kept_for_as_long_as_the_loop_takes_steps(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAST_SECONDS", 3.0)  # renewed after 1 s: a busy machine is late
    first, second = Leading(redis, 0.0), Leading(redis, 0.0)
    assert first.take()
    with first.renewed():
        assert is_renewed(redis)
        assert first.is_held and not second.take()
    assert second.take()


def test_a_loop_that_hangs_loses_the_lead(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.1)
    monkeypatch.setattr(module, "HUNG_SECONDS", 0.05)
    first, second = Leading(redis, 0.0), Leading(redis, 10.0)
    assert first.take()
    with first.renewed():
        assert eventually(second.take)
        assert not first.is_held
        with pytest.raises(LeadLost):
            first.confirm()
    assert redis.exists(KEY)  # the other one's


def test_a_leader_learns_that_it_lost_the_lock_when_it_asks(redis: Redis) -> None:
    first = Leading(redis, 1.0)
    with pytest.raises(LeadLost):
        first.confirm()
    assert first.take()
    first.confirm()
    redis.set(KEY, "another", px=60_000)
    assert first.is_held  # as far as it knows
    with pytest.raises(LeadLost):
        first.confirm()
    assert not first.is_held and not first.take()
    first.release()
    assert redis.get(KEY) == b"another"


def test_a_leader_that_cannot_ask_leads_until_the_lock_has_expired(redis: Redis) -> None:
    clock = Clock()
    first = Leading(redis, 1.0, clock)
    assert first.take()
    clock.now += 9.9
    assert first.is_held
    clock.now += 0.2
    assert not first.is_held


def test_work_ends_before_its_next_item_once_the_lead_is_lost(redis: Redis) -> None:
    first = Leading(redis, 1.0)
    assert first.take()
    done = []
    with pytest.raises(LeadLost):
        for item in first.while_held("abc"):
            done.append(item)
            first.release()
    assert done == ["a"]


def test_after_a_wipe_the_lead_is_free(redis: Redis) -> None:
    first = Leading(redis, 1.0)
    assert first.take()
    redis.flushall()
    assert first.take() and first.is_held

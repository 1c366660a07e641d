"""Workers tell of themselves in Redis; those that died, or wrote otherwise, are passed over."""

from __future__ import annotations

from redis import Redis

from tasks.state.presence import BUSY_SECONDS, GONE_SECONDS, Presence, Presences, State

NOW = 1000.0


def presence(state: State = State.IDLE, told_at: float = NOW) -> Presence:
    return Presence("gpu", state, "cuda", told_at)


def test_what_a_worker_tells_replaces_what_it_told(redis: Redis) -> None:
    presences = Presences(redis)
    presences.tell("gpu@one", presence())
    presences.tell("gpu@one", presence(State.BUSY))
    presences.tell("gpu@two", presence(State.STOPPING))
    assert presences.read(NOW) == {
        "gpu@one": presence(State.BUSY),
        "gpu@two": presence(State.STOPPING),
    }
    presences.forget("gpu@one")
    assert list(presences.read(NOW)) == ["gpu@two"]


def test_a_worker_that_died_is_taken_out(redis: Redis) -> None:
    presences = Presences(redis)
    presences.tell("gpu@dead", presence())
    presences.tell("gpu@alive", presence(told_at=NOW + GONE_SECONDS))
    assert set(presences.read(NOW + GONE_SECONDS)) == {"gpu@dead", "gpu@alive"}
    assert list(presences.read(NOW + GONE_SECONDS + 1)) == ["gpu@alive"]
    assert redis.hkeys("scriptorium:workers") == [b"gpu@alive"]


def test_what_another_version_wrote_is_passed_over(redis: Redis) -> None:
    presences = Presences(redis)
    for name, text in {"a": "{", "b": "[]", "c": '{"pool": "gpu", "state": "dancing"}'}.items():
        redis.hset("scriptorium:workers", name, text)
    presences.tell("gpu@one", presence())
    assert list(presences.read(NOW)) == ["gpu@one"]


def test_the_busy_users_of_a_card_are_counted_and_always_the_one_that_asks(redis: Redis) -> None:
    presences = Presences(redis)
    assert presences.users("GPU-1", "one", NOW, is_busy=False) == 1
    assert presences.users("GPU-1", "one", NOW, is_busy=True) == 1
    assert presences.users("GPU-1", "two", NOW, is_busy=True) == 2
    assert presences.users("GPU-2", "three", NOW, is_busy=True) == 1
    assert presences.users("GPU-1", "one", NOW, is_busy=False) == 2
    later = NOW + BUSY_SECONDS + 1  # "two" was killed
    assert presences.users("GPU-1", "one", later, is_busy=True) == 1


def test_without_workers_nothing_of_them_stays_in_redis(redis: Redis) -> None:
    presences = Presences(redis)
    presences.tell("gpu@killed", presence())
    presences.users("GPU-1", "gpu@killed", NOW, is_busy=True)
    assert {0 < redis.ttl(key) <= GONE_SECONDS for key in redis.scan_iter()} == {True}

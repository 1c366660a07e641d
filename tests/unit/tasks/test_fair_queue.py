"""Tenants take turns in a queue, by the seconds of audio of their units."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.commands.core import Script

from tasks.fair_queue import (
    NONE,
    PUT,
    SHARE,
    TAKE,
    Share,
    bell,
    clear,
    early,
    guests_bell,
    lengths,
    lists,
    message_of,
    put_arguments,
    slots_of,
    tenant_at_limit,
)

QUEUE = "transcribe.bulk"


class Queue:
    """A queue through its two scripts."""

    def __init__(self, redis: Redis) -> None:
        self._put = Script(redis, PUT)
        self._take = Script(redis, TAKE)

    def put(self, tenant: str, message: str, cost: float = 30.0, *, at_front: bool = False) -> None:
        self._put([QUEUE], put_arguments(Share(tenant, cost), message, at_front=at_front))

    def take(self, except_for: str = NONE, queues: tuple[str, ...] = (QUEUE,)) -> str | None:
        found: list[bytes] | None = self._take(queues, [except_for])
        return None if found is None else found[1].decode()

    def rest(self) -> list[str]:
        found = []
        while (message := self.take()) is not None:
            found.append(message)
        return found


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis)


def test_the_messages_of_one_tenant_keep_their_order(queue: Queue) -> None:
    for number in range(50):
        queue.put("a", f"{number}", cost=float(number % 7))
    assert queue.rest() == [f"{number}" for number in range(50)]


def test_a_newcomer_waits_for_one_message_of_a_flood(queue: Queue) -> None:
    for number in range(1000):
        queue.put("flood", f"f{number}")
    for _ in range(500):
        queue.take()
    queue.put("b", "b0")
    assert "b0" in [queue.take(), queue.take()]


def test_tenants_that_wait_get_equal_seconds_of_audio(queue: Queue) -> None:
    for number in range(300):
        queue.put("long", f"long {number}", cost=60.0)
        queue.put("short", f"short {number}", cost=10.0)
    taken = Counter(str(queue.take()).split()[0] for _ in range(210))
    assert taken["short"] == pytest.approx(180, abs=6)
    assert taken["long"] == pytest.approx(30, abs=1)


def test_a_weight_of_three_gets_three_times_the_share(queue: Queue) -> None:
    for number in range(400):
        queue.put("heavy", f"heavy {number}", cost=30.0 / 3)
        queue.put("light", f"light {number}", cost=30.0)
    taken = Counter(str(queue.take()).split()[0] for _ in range(200))
    assert taken["heavy"] == pytest.approx(150, abs=2)


def test_one_message_at_a_time_gets_no_more_than_a_fair_share(queue: Queue) -> None:
    for number in range(100):
        queue.put("flood", f"flood {number}")
    taken: Counter[str] = Counter()
    queue.put("steady", "steady")
    for _ in range(80):
        who = str(queue.take()).split()[0]
        taken[who] += 1
        if who == "steady":
            queue.put("steady", "steady")
    assert taken["flood"] == pytest.approx(40, abs=1)


def test_idle_time_gives_no_credit(queue: Queue) -> None:
    for number in range(100):
        queue.put("old", f"old {number}")
    for _ in range(50):
        queue.take()
    for number in range(100):
        queue.put("new", f"new {number}")
    taken = Counter(str(queue.take()).split()[0] for _ in range(40))
    assert taken["new"] == pytest.approx(20, abs=1)


def test_a_tenant_is_left_out_and_the_others_are_served(queue: Queue) -> None:
    queue.put("a", "a0")
    assert queue.take(except_for="a") is None
    queue.put("b", "b0")
    assert queue.take(except_for="a") == "b0"
    assert queue.take() == "a0"


def test_queues_are_looked_into_in_the_given_order(queue: Queue, redis: Redis) -> None:
    queue.put("a", "second")
    Script(redis, PUT)(["transcribe.interactive"], put_arguments(Share("a"), "first"))
    both = ("transcribe.interactive", QUEUE)
    assert [queue.take(queues=both), queue.take(queues=both)] == ["first", "second"]


def test_a_message_that_comes_back_goes_before_its_tenant_s_others(queue: Queue) -> None:
    for number in range(3):
        queue.put("a", f"{number}")
    first = queue.take()
    queue.put("a", str(first), at_front=True)
    assert queue.rest() == ["0", "1", "2"]


def test_messages_of_an_older_release_go_first(queue: Queue, redis: Redis) -> None:
    queue.put("a", "new")
    redis.lpush(QUEUE, '{"old": 1}', '{"old": 2}')
    assert queue.rest() == ['{"old": 1}', '{"old": 2}', "new"]


def test_an_empty_queue_leaves_nothing_that_does_not_expire(queue: Queue, redis: Redis) -> None:
    for number in range(30):
        queue.put(f"tenant{number % 5}", f"{number}")
    assert 0 < redis.llen(bell(QUEUE)) <= 100
    queue.rest()
    for silent in (bell(QUEUE), guests_bell(QUEUE)):
        assert redis.llen(silent) == 0  # nothing waits
    left: Any = redis.keys(f"{QUEUE}*")
    kept = [key for key in left if redis.ttl(key) < 0]
    assert kept == []


def test_the_first_messages_of_each_tenant_ring_for_guests_and_those_of_a_flood_do_not(
    queue: Queue, redis: Redis
) -> None:
    for number in range(40):
        queue.put("flood", f"f{number}")
    assert redis.llen(guests_bell(QUEUE)) == 32
    redis.delete(guests_bell(QUEUE))
    queue.put("flood", "one more")
    assert redis.llen(guests_bell(QUEUE)) == 0
    queue.put("b", "b0")
    assert redis.llen(guests_bell(QUEUE)) == 1


def test_a_list_that_was_lost_holds_up_nothing(queue: Queue, redis: Redis) -> None:
    queue.put("a", "a0")
    queue.put("b", "b0")
    redis.delete(f"{QUEUE}:of:a")
    assert "b0" in [queue.take(), queue.take()]
    assert queue.take() is None


def test_what_waits_can_be_read_and_cleared(queue: Queue, redis: Redis) -> None:
    queue.put("a", '{"n": 0}')
    queue.put("a", '{"n": 1}')
    queue.put("b", '{"n": 2}')
    redis.lpush(QUEUE, '{"n": 3}')
    places = lists(redis, [QUEUE, "align.bulk"])
    assert lengths(redis, places) == {QUEUE: 1, f"{QUEUE}:of:a": 2, f"{QUEUE}:of:b": 1}
    assert places[f"{QUEUE}:of:a"] == (QUEUE, "a") and places[QUEUE] == (QUEUE, NONE)
    found: list[Any] = [redis.lrange(key, 0, -1) for key in places]
    items = list(chain.from_iterable(found))
    assert sorted(map(message_of, items)) == [b'{"n": %d}' % number for number in range(4)]
    assert clear(redis, [QUEUE]) == 4
    assert queue.take() is None


@pytest.mark.slow
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from("abc"), st.floats(0, 600)),
            st.just(None),
        ),
        max_size=60,
    )
)
def test_every_message_is_taken_once_and_in_its_tenant_s_order(
    redis: Redis, steps: list[tuple[str, float] | None]
) -> None:
    clear(redis, [QUEUE])
    queue, taken = Queue(redis), list[str | None]()
    sent: dict[str, list[str]] = {}
    for number, step in enumerate(steps):
        if step is None:
            taken.append(queue.take())
        else:
            queue.put(step[0], f"{step[0]} {number}", step[1])
            sent.setdefault(step[0], []).append(f"{step[0]} {number}")
    taken += queue.rest()
    for tenant, messages in sent.items():
        assert [it for it in taken if it and it.startswith(tenant)] == messages


@pytest.mark.parametrize(
    ("held", "slots", "tenant"),
    [
        ([], 3, None),
        (["a"], 3, None),
        (["a", "a"], 3, "a"),
        (["a", "b"], 3, None),
        (["a"], 2, None),  # two slots are too few to keep one
        (["a", "a", "a", "b", "a"], 6, None),
        (["a", "a", "a", "a", "a"], 6, "a"),
        (["a", "a:early", "a:early", "a", "a"], 6, "a"),
    ],
)
def test_one_slot_of_three_or_more_is_for_other_tenants(
    held: list[str], slots: int, tenant: str | None
) -> None:
    assert tenant_at_limit(held, slots) == tenant


@pytest.mark.parametrize("concurrency", [2, 3, 6, 16])
def test_a_tenant_may_have_as_many_units_as_the_worker_is_meant_to_do(concurrency: int) -> None:
    slots = slots_of(concurrency)
    assert tenant_at_limit(["a"] * (concurrency - 1), slots) is None
    assert tenant_at_limit(["a"] * concurrency, slots) == "a"


def test_a_worker_of_one_unit_has_one_slot() -> None:
    assert slots_of(1) == 1


@pytest.mark.parametrize("headers", [{}, {SHARE: 5}, {SHARE: ["a"]}, {SHARE: ["a", "x"]}])
def test_a_message_without_a_share_that_can_be_read_has_a_small_one(
    headers: dict[str, object],
) -> None:
    assert Share.of(headers) == Share()


def test_a_share_is_read_as_it_was_written() -> None:
    assert Share.of(Share("acme", 51.25).headers()) == Share("acme", 51.25)


def test_a_look_at_empty_queues_costs_redis_two_commands(redis: Redis) -> None:
    redis.eval(TAKE, 3, "a", "b", "c", NONE)
    pipe = redis.pipeline()  # a transaction, in which no other client is counted
    pipe.info("commandstats")
    pipe.eval(TAKE, 3, "a", "b", "c", NONE)
    pipe.info("commandstats")
    before, _, after = pipe.execute()

    def calls(stats: Any) -> int:
        return sum(each["calls"] for each in stats.values())

    assert calls(after) - calls(before) == 4  # with the script itself and INFO


def test_the_early_work_of_a_tenant_that_is_left_out_is_left_too(queue: Queue) -> None:
    queue.put(early("a"), "early")
    queue.put("a", "a")
    assert queue.take(except_for="a") is None
    queue.put("b", "b", cost=60.0)
    assert queue.take(except_for="a") == "b"
    assert queue.take(except_for="a") is None
    assert sorted(queue.rest()) == ["a", "early"]

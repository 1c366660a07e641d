"""Which units wait as messages in the broker's queues, behind one interface for two brokers.

Redis' messages can be read in place. RabbitMQ's cannot; `rabbitmq.py` derives the answer from
send times. A message that a worker has taken is in no queue; the unit's lease shows that one
works on it.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from itertools import product
from typing import Any, Protocol

from redis import Redis

from orchestrator.cluster.turns import Turns, has_turn_to_come, lanes_of
from orchestrator.cluster.unreadable import FAULTS, note
from tasks.broker import SENT_AT
from tasks.fair_queue import NONE, early, lengths, lists, message_of
from tasks.runs.records import Records
from tasks.runs.stages import HEADER_STAGES, Stage, queues, queues_of
from tasks.runs.units import Run, Unit

PAGE = 500  # messages that one request reads
LONGEST = 10_000  # messages of a tenant in a queue that are read, at each pass with suspects
_STAGES = {stage.task_name: stage for stage in Stage}


class Queues(Protocol):
    """The queues of one broker. Methods may raise redis.RedisError or BrokerUnavailable."""

    def queued(self, suspects: Collection[Unit]) -> set[Unit]:
        """Return those of the suspects that a waiting message may still start.

        A fan_out's message starts the run's chunks and shards.
        """

    def expect(self, units: Iterable[Unit]) -> None:
        """Take note that messages for these units, if there are any, were sent by now."""

    def issued(self, unit: Unit) -> None:
        """Record that a message for the unit was sent again."""

    def unread(self) -> dict[str, float]:
        """Return the queues that `queued` does not read, with the time of their first message.

        It is when that message was sent, in seconds since 1970; 0: it does not say.
        """

    def lengths(self) -> dict[str, int]:
        """Return the number of messages that wait in each queue."""

    def ages(self, now: float) -> dict[str, float]:
        """Return the seconds that the first message of each non-empty queue has waited."""


class RedisQueues:
    """Reads the lists of `tasks/fair_queue.py`: one for each tenant that waits in a queue.

    A long list is not read: a unit's message may wait in it while its first message was sent before
    the unit was first asked about. So a lost one is noticed when its turn has come.
    """

    def __init__(
        self,
        redis: Redis,
        records: Records,
        *,
        longest: int = LONGEST,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._records = records
        self._longest = longest
        self._clock = clock
        self._turns = Turns()

    def queued(self, suspects: Collection[Unit]) -> set[Unit]:
        """Return those of the suspects that a waiting message asks for, or may ask for."""
        stages = {unit.stage for unit in suspects}
        if stages & HEADER_STAGES:
            stages.add(Stage.FAN_OUT)
        runs = {unit.run for unit in suspects}
        tenants = {NONE} | {name for run in runs for name in (run.tenant, early(run.tenant))}
        every = lists(self._redis, queues_of(stages))
        waiting = lengths(self._redis, (it for it in every if every[it][1] in tenants))
        long = {key for key, length in waiting.items() if length > self._longest}
        found: set[Unit] = set()
        for key in waiting.keys() - long:
            found.update(unit for unit in units_in(self._redis, key) if unit.run in runs)
        missing = lost(suspects, found)
        if long:
            now = self._clock()
            firsts = {every[key]: sent for key, sent in self._first_sent(long).items()}
            missing = tuple(unit for unit in missing if not self._may_wait(unit, firsts, now))
            self._turns.forget_old(now)
        return set(suspects).difference(missing)

    def expect(self, units: Iterable[Unit]) -> None:
        """Take note of the time, for lists that are too long to be read."""
        now = self._clock()
        for unit in units:
            self._turns.first_asked(unit, now)

    def issued(self, unit: Unit) -> None:
        """Forget when it was first asked about: its new message waits behind all others."""
        self._turns.forget(unit)

    def unread(self) -> dict[str, float]:
        """Return the queues with lists that are too long to be read."""
        every = lists(self._redis, queues())
        long = [key for key, it in lengths(self._redis, every).items() if it > self._longest]
        return self._by_queue(every, self._first_sent(long))

    def lengths(self) -> dict[str, int]:
        """Return the length of each queue, of all tenants together."""
        every = lists(self._redis, queues())
        total = dict.fromkeys(queues(), 0)
        for key, length in lengths(self._redis, every).items():
            total[every[key][0]] += length
        return total

    def ages(self, now: float) -> dict[str, float]:
        """Return ages by the send time of each list's last message: workers take from the tail."""
        every = lists(self._redis, queues())
        firsts = self._by_queue(every, self._first_sent(every))
        return {
            queue: max(0.0, now - sent_at) for queue, sent_at in firsts.items() if sent_at != 0.0
        }

    def _may_wait(self, unit: Unit, firsts: Mapping[tuple[str, str], float], now: float) -> bool:
        """Return whether a message in one of the long lists may still start the unit.

        `firsts`: by queue and tenant, when the first message of each of these was sent.
        """
        if unit.stage in HEADER_STAGES and self._may_wait(
            unit.run.unit(Stage.FAN_OUT), firsts, now
        ):
            return True
        names = [unit.stage.queue(lane) for lane in lanes_of(self._records, unit)]
        asked = self._turns.first_asked(unit, now)
        return any(
            has_turn_to_come(firsts[place], asked, now)
            for place in product(names, (unit.run.tenant, early(unit.run.tenant), NONE))
            if place in firsts
        )

    @staticmethod
    def _by_queue(
        every: Mapping[str, tuple[str, str]], firsts: Mapping[str, float]
    ) -> dict[str, float]:
        """Return the earliest of each queue's times."""
        found: dict[str, float] = {}
        for key, sent in firsts.items():
            queue = every[key][0]
            found[queue] = min(sent, found.get(queue, sent))
        return found

    def _first_sent(self, keys: Collection[str]) -> dict[str, float]:
        """Return when the next message of each non-empty list was sent; 0: it does not say.

        In seconds since 1970. Workers take from the tail of the list.
        """
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.lindex(key, -1)
        found = zip(keys, pipe.execute(), strict=True)
        return {key: _sent_at(message_of(item)) or 0.0 for key, item in found if item}


def _sent_at(message: bytes) -> float | None:
    """Return when a message was sent, in seconds since 1970; None: it does not say."""
    try:
        found = json.loads(message)["headers"].get(SENT_AT)
        return None if found is None else float(found)
    except FAULTS as error:
        note("a message in a queue", error)
        return None


def units_in(redis: Redis, key: str) -> Iterator[Unit]:
    """Yield the units that the messages in a list ask for, while messages come and go."""
    # From the head, where messages are added: those added meanwhile move the others to where they
    # are still read, and those taken meanwhile, at the tail, move none.
    start = 0
    while True:
        page: Any = redis.lrange(key, start, start + PAGE - 1)
        for item in page:
            unit = read_unit(message_of(item))
            if unit is not None:
                yield unit
        if len(page) < PAGE:
            return
        start += PAGE


def read_unit(message: bytes) -> Unit | None:
    """Return the unit that a message asks for; None if it is no message for a stage of ours."""
    try:
        envelope = json.loads(message)
        stage = _STAGES.get(envelope["headers"]["task"])
        if stage is None:
            return None
        _, arguments, _ = json.loads(b64decode(envelope["body"]))
        run = Run(arguments["tenant"], arguments["job"], arguments["run"])
        return run.unit(stage, arguments.get("index", 0))
    except FAULTS as error:
        note("a message in a queue", error)
        return None


def lost(suspects: Iterable[Unit], queued: Set[Unit]) -> tuple[Unit, ...]:
    """Return the suspects that no queued message asks for.

    What is still to be fanned out is not lost: its message is not written yet.
    """
    return tuple(
        unit
        for unit in suspects
        if unit not in queued
        and not (unit.stage in HEADER_STAGES and unit.run.unit(Stage.FAN_OUT) in queued)
    )

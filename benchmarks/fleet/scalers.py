"""Who decides how many workers there should be: our policy, a list's length; and KEDA between.

Kubernetes' horizontal autoscaler and KEDA are modelled as their documentation has them. The
horizontal autoscaler decides every 15 s, leaves differences of a tenth alone, goes up
in steps, and down to the largest number of its stabilization window. KEDA
takes care of the first worker and the last: none once nothing was there for the cooldown.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.scaling.policy import Load, Recommendation, StageLoad, recommend
from orchestrator.scaling.pools import WorkerPool
from tasks.runs.stages import Stage
from tasks.state.speeds import FADE

SYNC_SECONDS = 15.0  # the horizontal autoscaler's
TOLERANCE = 0.1  # likewise
CHUNK_GRACE_SECONDS = 3600.0  # a worker may finish its chunk, however long that is


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be known of the queue and the workers at one moment."""

    now: float
    waiting: int  # chunks in the queue
    in_flight: int  # chunks that workers have
    audio_seconds: float  # of both


class Rule(Protocol):
    """Facts in, a number of workers out."""

    def wanted(self, facts: Facts) -> float:
        """How many, before it is rounded up."""

    def observe(self, seconds: float, audio_seconds: float) -> None:
        """A chunk was done."""


class ListLength:
    """KEDA's trigger for a Redis list: so many messages for each worker."""

    def __init__(self, list_length: float) -> None:
        self._list_length = list_length

    def wanted(self, facts: Facts) -> float:
        """What a worker has taken is not in the list."""
        return facts.waiting / self._list_length

    def observe(self, seconds: float, audio_seconds: float) -> None:
        """It does not care."""


class Backlog:
    """Ours: the policy of production, at the speed that the workers have shown."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._kept: tuple[Recommendation, ...] = ()
        self._seconds = self._audio_seconds = 0.0

    def wanted(self, facts: Facts) -> float:
        """Until a chunk is done, the speed is the first guess of production."""
        units = facts.waiting + facts.in_flight
        load = StageLoad(facts.audio_seconds, self._speed, units, facts.in_flight)
        stages = {Stage.TRANSCRIBE: load} if units else {}
        desired, self._kept = recommend(Load(stages), self._pool, self._kept, facts.now)
        return desired

    def observe(self, seconds: float, audio_seconds: float) -> None:
        """As `tasks.state.speeds` counts."""
        self._seconds = self._seconds * FADE + seconds
        self._audio_seconds = self._audio_seconds * FADE + audio_seconds

    @property
    def _speed(self) -> float:
        if not self._seconds:
            return Stage.TRANSCRIBE.definition.first_speed
        return self._audio_seconds / self._seconds


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Settings of the horizontal autoscaler, KEDA and the pods; those that no user sets."""

    stabilization_seconds: float = 300.0
    cooldown_seconds: float = 300.0
    poll_seconds: float = 30.0  # between KEDA's looks
    step_pods: int = 4  # up by so many at once
    step_times: int = 2  # or to so many times as many
    grace_seconds: float = 30.0  # that a pod is given to end


OURS = Behaviour(0.0, 30.0, 15.0, 100, 10, CHUNK_GRACE_SECONDS)  # as docs/scaling.md has it
LONG_GRACE = Behaviour(grace_seconds=CHUNK_GRACE_SECONDS)
# Without what is in flight, a shorter stabilization makes a list's length worse.
TUNED = Behaviour(120.0, 120.0, 15.0, 100, 10, CHUNK_GRACE_SECONDS)


@dataclass(slots=True)
class Keda:
    """Turns what a rule wants into replicas."""

    rule: Rule
    maximum: int
    behaviour: Behaviour
    _active_at: float = -math.inf
    _recommended: deque[tuple[float, int]] = field(default_factory=deque)

    def replicas(self, facts: Facts, current: int) -> int:
        """How many there should be from now on."""
        wanted, now = self.rule.wanted(facts), facts.now
        looks = now % self.behaviour.poll_seconds == 0
        if wanted > 0:
            self._active_at = now
        if not current:
            self._recommended.clear()
            return min(1, self.maximum) if wanted > 0 and looks else 0
        if looks and now - self._active_at > self.behaviour.cooldown_seconds:
            return 0
        is_near = abs(wanted / current - 1) <= TOLERANCE
        latest = current if is_near else max(1, math.ceil(wanted))
        while self._recommended and self._recommended[-1][1] <= latest:
            self._recommended.pop()  # outlived by a later and larger one
        self._recommended.append((now, latest))
        while self._recommended[0][0] < now - self.behaviour.stabilization_seconds:
            self._recommended.popleft()
        chosen = min(max(current, latest), self._recommended[0][1])
        steps = (current + self.behaviour.step_pods, current * self.behaviour.step_times)
        return min(chosen, max(steps), self.maximum)


@dataclass(frozen=True, slots=True)
class Scaler:
    """A way to scale, with the one setting that trades cost against waiting."""

    name: str
    setting: str
    values: tuple[float, ...]
    default: float
    behaviour: Behaviour
    rule: Callable[[float, int], Rule]  # of the setting and the largest number of workers

    def keda(self, value: float, maximum: int) -> Keda:
        """A fresh one."""
        return Keda(self.rule(value, maximum), maximum, self.behaviour)


def _backlog(target_drain_seconds: float, maximum: int) -> Rule:
    return Backlog(
        WorkerPool(name="gpu", maximum=maximum, target_drain_seconds=target_drain_seconds)
    )


def _list_length(value: float, maximum: int) -> Rule:
    return ListLength(value)


_LENGTHS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 35.0, 50.0, 70.0, 100.0, 200.0)
_DRAINS = (30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0)
_DEFAULT_DRAIN = WorkerPool(name="gpu").target_drain_seconds
# KEDA's own default of listLength is 5.
BACKLOG = Scaler("backlog", "target_drain_seconds", _DRAINS, _DEFAULT_DRAIN, OURS, _backlog)
LIST = Scaler("list", "listLength", _LENGTHS, 5.0, Behaviour(), _list_length)
LIST_GRACE = Scaler("list, long grace", "listLength", _LENGTHS, 5.0, LONG_GRACE, _list_length)
LIST_TUNED = Scaler("list, tuned", "listLength", _LENGTHS, 5.0, TUNED, _list_length)
RIVALS = (LIST, LIST_GRACE, LIST_TUNED)

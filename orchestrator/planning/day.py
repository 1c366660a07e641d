"""Play a day: files come, the scaling policy wants workers, and chunks wait for them. Pure.

The policy is the one of production. A worker does one chunk after another at the pool's speed, the
oldest one first; a new worker is there some time after it is wanted, and one that is too many ends
when it has nothing to do. Lanes, tenants and kills are left out: they move waiting from one job to
another.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.planning.demand import HOUR, Submission
from orchestrator.scaling.policy import Load, Recommendation, StageLoad, recommend
from orchestrator.scaling.pools import WorkerPool
from tasks.runs.stages import Stage

# Of what applies the policy: Kubernetes' horizontal autoscaler, and KEDA as docs/scaling.md has it.
LOOK_SECONDS = 15.0
TOLERANCE = 0.1  # a smaller difference is left alone
COOLDOWN_SECONDS = 30.0  # a last worker stays so long with nothing to do
# The time to start, as a multiple of its mean: on a machine that is there, and where one of five
# needs a machine first.
_STARTS = ((2 / 3, 1.0), (4 / 3, 2.0))
_NEW_MACHINES = 0.2


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a day."""

    worker_hours: float  # from the moment at which a worker is wanted to its end
    work_hours: float  # of workers that never start and are never idle
    waits: np.ndarray  # of each file, in seconds: its time beyond that of its longest chunk
    most_open: int  # files at a time
    most_waiting: int  # chunks at a time

    def wait(self, percent: float) -> float:
        """Return the wait that so many percent of files do not exceed, in seconds."""
        return float(np.percentile(self.waits, percent)) if len(self.waits) else 0.0


def play(
    files: Sequence[Submission],
    pool: WorkerPool,
    speed: float,
    start_seconds: float,
    counted_from: float = 0.0,
) -> Played:
    """Play from the first file until the last one is done.

    `speed`: seconds of audio that one worker does in a second; `start_seconds`: the mean time from
    the moment at which a worker is wanted until it works. With `minimum` = `maximum` the fleet is
    always there. What was before `counted_from`, a moment like those of files, does not count.
    """
    day = _Day(files, pool, speed, start_seconds)
    while day.is_open:
        hours = day.go_on()
        day.worker_hours += hours * (day.now > counted_from)
    ends = np.array(day.ends)
    begins = np.array([one.at for one in files])
    longest = np.array([max(one.chunks) for one in files]) / speed
    still_open = np.arange(1, len(files) + 1) - np.searchsorted(np.sort(ends), begins)
    counted = [one for one in files if one.at >= counted_from]
    waits = np.maximum(np.round(ends - begins - longest, 3), 0.0) + 0.0  # no -0.0 either
    return Played(
        worker_hours=day.worker_hours,
        work_hours=math.fsum(sum(one.chunks) for one in counted) / speed / HOUR,
        waits=waits[begins >= counted_from],
        most_open=int(still_open.max(initial=0)),
        most_waiting=day.most_waiting,
    )


class _Day:
    """The queue and the workers at one moment, which moves from look to look."""

    def __init__(
        self, files: Sequence[Submission], pool: WorkerPool, speed: float, start_seconds: float
    ) -> None:
        self._files, self._pool = files, pool
        self._speed, self._start_seconds = speed, start_seconds
        self._dice = random.Random(0)
        self.now = files[0].at if files else 0.0
        self._coming = 0  # the number of the next file
        self._waiting: deque[tuple[int, float]] = deque()  # of chunks: file, seconds of audio
        self._flying: list[tuple[float, float]] = []  # a heap of chunks: end, seconds of audio
        self._free = [self.now] * pool.minimum  # a heap: when each worker has nothing to do
        self._starting: list[float] = []  # a heap: when each new worker begins
        self._audio_seconds = 0.0  # waiting or in flight
        self._kept: tuple[Recommendation, ...] = ()
        self._active_at = -math.inf
        self.ends = [0.0] * len(files)
        self.worker_hours = 0.0
        self.most_waiting = 0

    @property
    def is_open(self) -> bool:
        return bool(self._coming < len(self._files) or self._waiting or self._flying)

    def go_on(self) -> float:
        """Go on to the next look, or to the next file if nothing happens before; return hours."""
        is_idle = not self._waiting and not self._flying
        if is_idle and (
            not (self._free or self._starting) or self._pool.minimum == self._pool.maximum
        ):
            self.now = max(self.now, self._files[self._coming].at)
        until = self.now + LOOK_SECONDS
        self._accept(until)
        self._work(until)
        self.now = until
        self._resize()
        return (len(self._free) + len(self._starting)) * LOOK_SECONDS / HOUR

    def _accept(self, until: float) -> None:
        while self._coming < len(self._files) and self._files[self._coming].at < until:
            chunks = self._files[self._coming].chunks
            self._waiting.extend((self._coming, seconds) for seconds in chunks)
            self._audio_seconds += sum(chunks)
            self._coming += 1
        self.most_waiting = max(self.most_waiting, len(self._waiting))

    def _work(self, until: float) -> None:
        while self._starting and self._starting[0] < until:
            heapq.heappush(self._free, heapq.heappop(self._starting))
        while self._waiting and self._free:
            number, seconds = self._waiting[0]
            began = max(self._free[0], self._files[number].at)
            if began >= until:
                break
            self._waiting.popleft()
            end = began + seconds / self._speed
            heapq.heapreplace(self._free, end)
            heapq.heappush(self._flying, (end, seconds))
            self.ends[number] = max(self.ends[number], end)
        while self._flying and self._flying[0][0] <= until:
            self._audio_seconds -= heapq.heappop(self._flying)[1]

    def _resize(self) -> None:
        units, now = len(self._waiting) + len(self._flying), self.now
        stages = {}
        if units:
            audio = max(0.0, self._audio_seconds)
            stages[Stage.TRANSCRIBE] = StageLoad(audio, self._speed, units, len(self._flying))
        desired, self._kept = recommend(Load(stages), self._pool, self._kept, now)
        count = len(self._free) + len(self._starting)
        wanted = self._applied(desired, count)
        for _ in range(wanted - count):
            times = self._dice.uniform(*_STARTS[self._dice.random() < _NEW_MACHINES])
            heapq.heappush(self._starting, now + self._start_seconds * times)
        for _ in range(count - wanted):
            self._end_one()

    def _applied(self, desired: int, count: int) -> int:
        """Return how many workers KEDA and the horizontal autoscaler make of what is desired."""
        if desired:
            self._active_at = self.now
        if not count:
            return min(1, desired)  # more come at the next look
        if not desired:
            return int(self.now - self._active_at <= COOLDOWN_SECONDS)
        return count if abs(desired / count - 1) <= TOLERANCE else desired

    def _end_one(self) -> None:
        """End a worker as a ReplicaSet does: one that has not begun, an idle one, or a busy one.

        A busy one does its chunk first.
        """
        if self._starting:
            self._starting.pop()
        elif self._free[0] <= self.now:
            heapq.heappop(self._free)
        else:
            last = max(self._free)
            self._free.remove(last)
            heapq.heapify(self._free)
            self.worker_hours += (last - self.now) / HOUR

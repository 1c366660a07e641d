"""The two lanes of a simulated fleet, and who waits where: by length alone, or by `ready_by` too.

Workers take from the lanes in turn. In the bulk lane early work has a list of its own, with a
small weight in the turns of `tasks/fair_queue.py`; a job whose slack is short moves up. All jobs
are of one tenant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from benchmarks.fleet.arrivals import HOUR, Job
from benchmarks.fleet.simulation import Simulation, Worker
from orchestrator.scaling.deadlines import Due, is_crowded
from tasks.runs.deadline import EARLY_WEIGHT, may_move_up, slack_seconds
from tasks.runs.manifest import INTERACTIVE_SECONDS

SHARE_WITH_READY_BY = 2 / 3  # of the jobs
NOTICE_SECONDS = (HOUR / 2, 8 * HOUR)  # from submission to `ready_by`; as many between each double
NEVER = float("inf")


def drawn_deadlines(jobs: Sequence[Job], seed: int) -> tuple[float, ...]:
    """Return each job's `ready_by` in seconds from the start; infinite where it has none.

    It is never nearer than the file is long.
    """
    rng = np.random.default_rng([seed, *b"ready_by"])
    low, high = np.log(NOTICE_SECONDS)
    found = []
    for job in jobs:
        has_one, notice = rng.random() < SHARE_WITH_READY_BY, float(np.exp(rng.uniform(low, high)))
        notice = max(notice, audio_of(job))
        found.append(job.submitted + notice if has_one else NEVER)
    return tuple(found)


def audio_of(job: Job) -> float:
    """Return the length of a job's file."""
    return job.chunk_audio_seconds * len(job.chunk_seconds)


@dataclass(slots=True)
class Lanes:
    """The waiting chunks, in the place of the simulation's one queue."""

    jobs: Sequence[Job]
    ready_by: Sequence[float]  # by job; infinite: none
    heeds: bool  # whether `ready_by` changes where a chunk waits
    speed: float  # seconds of audio that a worker does in a second
    maximum: int  # workers
    job_of: list[int] = field(default_factory=list)  # by chunk
    left: list[int] = field(default_factory=list)  # by job: chunks that wait
    urgent: deque[int] = field(default_factory=deque)
    bulk: deque[int] = field(default_factory=deque)
    early: deque[int] = field(default_factory=deque)
    looks: list[tuple[float, int]] = field(default_factory=list)  # when a job's slack is short
    early_jobs: dict[int, list[int]] = field(default_factory=dict)  # with their chunks
    in_early: set[int] = field(default_factory=set)  # chunks there that did not move up
    minutes: dict[int, float] = field(default_factory=dict)  # of `ready_by`: audio not done yet
    is_crowded: bool = False  # more is due than the largest fleet can do
    now: float = 0.0
    is_bulks_turn: bool = False
    bulk_time: float = 0.0  # virtual, of the two lists in the bulk lane
    early_time: float = 0.0
    moved_up: int = 0

    def __post_init__(self) -> None:
        """Number the chunks as the simulation does."""
        for number, job in enumerate(self.jobs):
            self.job_of += [number] * len(job.chunk_seconds)
        self.left = [0] * len(self.jobs)

    def __len__(self) -> int:
        """Count the chunks that wait."""
        return len(self.urgent) + len(self.bulk) + len(self.in_early)

    def append(self, chunk: int) -> None:
        """Add a chunk: a new one, or one whose worker was killed."""
        number = self.job_of[chunk]
        job, ready_by = self.jobs[number], self.ready_by[number]
        self.now = max(self.now, job.submitted)
        self.left[number] += 1
        minute = self._minute(number)
        self.minutes[minute] = self.minutes.get(minute, 0.0) + job.chunk_audio_seconds
        if self.heeds and ready_by < NEVER and not self.is_crowded:
            slack = self._slack(number, len(job.chunk_seconds))
            if slack > 0:
                if number not in self.early_jobs:
                    heappush(self.looks, (self.now + slack, number))
                if not self.early:
                    self.early_time = max(self.early_time, self.bulk_time)
                self.early.append(chunk)
                self.in_early.add(chunk)
                self.early_jobs.setdefault(number, []).append(chunk)
                return
            if may_move_up(ready_by, job.submitted, audio_of(job)):
                self.urgent.append(chunk)
                return
        self._append_by_length(chunk)

    def popleft(self) -> int:
        """Take the next chunk."""
        while self.early and self.early[0] not in self.in_early:
            self.early.popleft()  # the older message of a chunk that moved up
        has_bulk = bool(self.bulk or self.early)
        self.is_bulks_turn = has_bulk and (self.is_bulks_turn or not self.urgent)
        chunk = self._from_bulk() if self.is_bulks_turn else self.urgent.popleft()
        self.is_bulks_turn = not self.is_bulks_turn
        self.left[self.job_of[chunk]] -= 1
        return chunk

    def done(self, chunk: int) -> None:
        """Count a chunk's work as due no more."""
        number = self.job_of[chunk]
        self.minutes[self._minute(number)] -= self.jobs[number].chunk_audio_seconds

    def move_up(self, now: float) -> None:
        """Send the chunks of early jobs whose slack is short to the interactive lane.

        While the largest fleet cannot do what is due, all wait as if they had no `ready_by`.
        """
        self.now = now
        self.is_crowded = is_crowded(self.due(), now, self.maximum)
        while self.looks and (self.is_crowded or self.looks[0][0] <= now):
            _, number = heappop(self.looks)
            slack = self._slack(number, self.left[number])
            if not self.is_crowded and slack > 0:  # some of its work was done meanwhile
                heappush(self.looks, (now + slack, number))
                continue
            waiting = self.in_early.intersection(self.early_jobs.pop(number))
            self.in_early -= waiting
            self.moved_up += len(waiting)
            for chunk in sorted(waiting):
                if self.is_crowded:
                    self._append_by_length(chunk)
                else:
                    self.urgent.append(chunk)

    def due(self) -> tuple[Due, ...]:
        """Return the work that has a `ready_by`, waiting or in flight."""
        return tuple(
            Due(minute * 60.0, audio / self.speed)
            for minute, audio in self.minutes.items()
            if audio > 1e-6 and minute >= 0
        )

    def _minute(self, number: int) -> int:
        """Return the minute of the job's `ready_by`; -1 without one."""
        ready_by = self.ready_by[number]
        return -1 if ready_by == NEVER else int(ready_by // 60)

    def _slack(self, number: int, chunks: int) -> float:
        return slack_seconds(self.ready_by[number], self.now, self._work(number, chunks))

    def _append_by_length(self, chunk: int) -> None:
        if audio_of(self.jobs[self.job_of[chunk]]) <= INTERACTIVE_SECONDS:
            self.urgent.append(chunk)
            return
        if not self.bulk and self.early:
            self.bulk_time = max(self.bulk_time, self.early_time)
        self.bulk.append(chunk)

    def _work(self, number: int, chunks: int) -> float:
        return chunks * self.jobs[number].chunk_audio_seconds / self.speed

    def _from_bulk(self) -> int:
        if self.bulk and (not self.early or self.bulk_time <= self.early_time):
            chunk = self.bulk.popleft()
            self.bulk_time += self._audio(chunk)
            return chunk
        chunk = self.early.popleft()
        self.in_early.discard(chunk)
        self.early_time += self._audio(chunk) / EARLY_WEIGHT
        return chunk

    def _audio(self, chunk: int) -> float:
        return self.jobs[self.job_of[chunk]].chunk_audio_seconds


class LanedSimulation(Simulation):
    """A simulation whose queue is `Lanes`."""

    def _done(self, worker: Worker, chunk: int) -> None:
        Simulation._done(self, worker, chunk)
        self.queue.done(chunk)

"""Jobs, a queue and workers, event by event.

A worker starts in a minute or three, takes chunks in the order of their arrival, and is told to
end when there are too many: it finishes its chunk if its grace lasts, else it is killed and the
chunk starts again when its lease has run out. Which worker ends is the ReplicaSet's choice: one
that is not ready yet, else a young one, in steps of twice the age; busy or not.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.fleet.arrivals import HOUR, Job
from benchmarks.fleet.scalers import SYNC_SECONDS, Facts, Keda

START_SECONDS = (60.0, 90.0)  # place, image and model, on a machine that is there
MACHINE_SECONDS, MACHINE_SHARE = (120.0, 180.0), 0.2  # and where one comes first
LOST_SECONDS = 37.0  # the lease, the reconciler's grace and a pass of it


@dataclass(slots=True, eq=False)
class Worker:
    """One pod."""

    born: float
    ready_at: float
    chunk: int | None = None
    chunk_began: float = 0.0
    is_ending: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scaler made of one play of a pattern."""

    gpu_hours: float  # from a worker's start to its end
    waits: np.ndarray  # of each job: its time beyond that of its longest chunk, in seconds
    killed: int  # busy workers
    redone_hours: float  # of work that the killed had done
    turns_an_hour: float  # changes of direction of the number of replicas
    most: int  # replicas
    timeline: np.ndarray  # rows of seconds, workers, busy ones, work waiting or in flight (GPU h)


@dataclass(slots=True)
class Simulation:
    """One play. The queue holds numbers of chunks."""

    jobs: Sequence[Job]
    keda: Keda
    random: random.Random
    seconds: list[float] = field(default_factory=list)  # by chunk
    job_of: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)  # by job: chunks
    ended: list[float] = field(default_factory=list)
    queue: Any = field(default_factory=deque)  # or `Lanes`
    idle: dict[Worker, None] = field(default_factory=dict)  # in the order in which they wait
    workers: dict[Worker, None] = field(default_factory=dict)  # that were not told to end
    events: list[tuple[float, int, Worker | None, int]] = field(default_factory=list)
    number: int = 0
    now: float = 0.0
    in_flight: int = 0
    audio: float = 0.0
    work: float = 0.0
    used: float = 0.0
    killed: int = 0
    redone: float = 0.0
    alive: int = 0
    open_jobs: int = 0

    def run(self) -> Outcome:
        """Until all is done and all workers are gone."""
        self.ended = [0.0] * len(self.jobs)
        self.left = [len(job.chunk_seconds) for job in self.jobs]
        self.open_jobs = len(self.jobs)
        rows, submitted = [], 0
        decide_at = 0.0
        numbers: list[int] = []
        while True:
            arrival = self.jobs[submitted].submitted if submitted < len(self.jobs) else math.inf
            event = self.events[0][0] if self.events else math.inf
            self.now = min(arrival, event, decide_at)
            if arrival <= self.now:
                self._submit(submitted)
                submitted += 1
            elif event <= self.now:
                _, _, worker, chunk = heapq.heappop(self.events)
                self._happen(worker, chunk)
            else:
                facts = Facts(self.now, len(self.queue), self.in_flight, max(0.0, self.audio))
                self._scale_to(self.keda.replicas(facts, len(self.workers)))
                rows.append((self.now, self.alive, self.in_flight, self.work / HOUR))
                numbers.append(len(self.workers))
                decide_at += SYNC_SECONDS
                if not self.open_jobs and not self.alive:
                    break
        waits = np.array(
            [
                end - job.submitted - job.longest
                for end, job in zip(self.ended, self.jobs, strict=True)
            ]
        )
        return Outcome(
            self.used / HOUR,
            waits,
            self.killed,
            self.redone / HOUR,
            _turns(numbers) / (self.now / HOUR),
            max(numbers),
            np.array(rows),
        )

    def _submit(self, number: int) -> None:
        job = self.jobs[number]
        for seconds in job.chunk_seconds:
            self.queue.append(len(self.seconds))
            self.seconds.append(seconds)
            self.job_of.append(number)
        self.audio += job.chunk_audio_seconds * len(job.chunk_seconds)
        self.work += sum(job.chunk_seconds)
        self._hand_out()

    def _hand_out(self) -> None:
        while self.queue and self.idle:
            worker = next(iter(self.idle))
            del self.idle[worker]
            self._begin(worker, self.queue.popleft())

    def _begin(self, worker: Worker, chunk: int) -> None:
        worker.chunk, worker.chunk_began = chunk, self.now
        self.in_flight += 1
        self._later(self.now + self.seconds[chunk], worker, chunk)

    def _later(self, at: float, worker: Worker | None, chunk: int) -> None:
        self.number += 1
        heapq.heappush(self.events, (at, self.number, worker, chunk))

    def _happen(self, worker: Worker | None, chunk: int) -> None:
        """A chunk is back in the queue, a worker is ready, killed, or has done its chunk."""
        if worker is None:
            self.queue.append(chunk)
            self._hand_out()
        elif chunk < 0:
            if chunk == -2 and worker.chunk is not None:
                self._kill(worker)
            elif chunk == -1 and not worker.is_ending:
                self._take(worker)
        elif worker.chunk == chunk:
            self._done(worker, chunk)

    def _done(self, worker: Worker, chunk: int) -> None:
        job = self.job_of[chunk]
        self.left[job] -= 1
        if not self.left[job]:
            self.ended[job] = self.now
            self.open_jobs -= 1
        audio, seconds = self.jobs[job].chunk_audio_seconds, self.seconds[chunk]
        self.audio -= audio
        self.work -= seconds
        self.keda.rule.observe(seconds, audio)
        self.in_flight -= 1
        worker.chunk = None
        if worker.is_ending:
            self._end(worker)
        else:
            self._take(worker)

    def _take(self, worker: Worker) -> None:
        if self.queue:
            self._begin(worker, self.queue.popleft())
        else:
            self.idle[worker] = None

    def _kill(self, worker: Worker) -> None:
        assert worker.chunk is not None
        self.killed += 1
        self.redone += self.now - worker.chunk_began
        self._later(self.now + LOST_SECONDS, None, worker.chunk)
        worker.chunk = None
        self.in_flight -= 1
        self._end(worker)

    def _end(self, worker: Worker) -> None:
        self.used += self.now - worker.born
        self.alive -= 1

    def _scale_to(self, replicas: int) -> None:
        for _ in range(replicas - len(self.workers)):
            worker = Worker(self.now, self.now + self._start_seconds())
            self.workers[worker] = None
            self.alive += 1
            self._later(worker.ready_at, worker, -1)
        surplus = len(self.workers) - replicas
        if surplus > 0:
            for worker in sorted(self.workers, key=self._staying)[:surplus]:
                self._terminate(worker)

    def _start_seconds(self) -> float:
        comes_machine = self.random.random() < MACHINE_SHARE
        return self.random.uniform(*(MACHINE_SECONDS if comes_machine else START_SECONDS))

    def _staying(self, worker: Worker) -> tuple[float, float]:
        age = self.now - worker.ready_at
        return (
            math.floor(math.log2(age)) if age >= 1 else -1.0 if age >= 0 else -2.0
        ), self.random.random()

    def _terminate(self, worker: Worker) -> None:
        del self.workers[worker]
        self.idle.pop(worker, None)
        worker.is_ending = True
        if worker.chunk is None:
            self._end(worker)
        else:
            self._later(self.now + self.keda.behaviour.grace_seconds, worker, -2)


def _turns(numbers: Sequence[int]) -> int:
    steps = [b - a for a, b in pairwise(numbers) if a != b]
    return sum(a * b < 0 for a, b in pairwise(steps))

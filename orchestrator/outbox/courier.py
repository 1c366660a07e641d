"""The loop that delivers what is in the outbox. Any number of couriers may run.

A courier takes runs for a limited time and renews it while it lives. Which run goes next is
decided in `orchestrator/outbox/waiting.py`, so that a receiver that says nothing, and a tenant with
many of them, delay no others.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import httpcore
import structlog
from cachetools import LRUCache
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.outbox import Outbox
from orchestrator.cluster.unreadable import note
from orchestrator.outbox.circuit import CLOSED, Circuit, begun, is_long_dead, told, wait_seconds
from orchestrator.outbox.delivery import deliver, receiver
from orchestrator.outbox.schedule import Step
from orchestrator.outbox.waiting import REMEMBERED, THREADS, Destination, Waiting
from orchestrator.outbox.webhooks import webhook_pool
from tasks.runs.json_artifacts import UnreadableRecord
from tasks.runs.units import Run
from tasks.telemetry.metrics import DELIVERY_TRIES

PAGE = 500  # due runs in one look at Redis; as many looks as there are pages
PAUSE_SECONDS = 0.5  # between two looks at the outbox, when it has shown all
QUICK_SECONDS = 2.0  # a delivery that takes longer shows that its receiver is slow
PARKED_SECONDS = (30.0, 90.0)  # until the next look at runs of a tenant with very many
UNREADABLE_SECONDS = 600.0  # until the next try of a run whose records cannot be read
SPREAD_SECONDS = 5.0  # over which the deliveries of a dead receiver become due again
FAULT_SECONDS = 15.0  # until the next try, after the store or Redis was away
log = structlog.get_logger(__name__)


class Delivering(Protocol):
    """One step for an entry of an outbox."""

    def __call__(
        self,
        cluster: Cluster,
        run: Run,
        /,
        webhooks: Callable[[], httpcore.ConnectionPool],
        *,
        may_try: bool = True,
    ) -> Step:
        """Make one try, or without `may_try` only give up what has waited for too long."""
        ...


Receiver = Callable[[Cluster, Run], str | None]  # where the next step goes; None: nowhere


class Courier:
    """Delivers until its stop event is set."""

    def __init__(
        self,
        cluster: Cluster,
        outbox: Outbox | None = None,
        step: Delivering = deliver,
        receiver_of: Receiver = receiver,
    ) -> None:
        """Deliver what is in an outbox by a step for each entry; by default what jobs owe."""
        self._cluster = cluster
        self._outbox = outbox or cluster.outbox
        self._step, self._receiver_of = step, receiver_of
        self._waiting = Waiting(THREADS)
        self._circuits: LRUCache[Destination, Circuit] = LRUCache(
            REMEMBERED
        )  # of receivers that fail
        self._lock = threading.Lock()  # guards both, and the due times of the runs that wait
        self._is_ending = False
        self._renewed_at = float("-inf")
        self._pool: httpcore.ConnectionPool | None = None  # opened for the first webhook
        self._pool_lock = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set; running tries are finished first."""
        waiting = False  # an outage is logged once, not at every pass
        with ThreadPoolExecutor(THREADS, "courier") as threads:
            while not stop.is_set():
                try:
                    while self._look(threads) and not stop.is_set():
                        pass
                    waiting = False
                except (RedisError, ScriptoriumError) as error:
                    if not waiting:
                        log.warning("courier_waits", reason=str(error))
                    waiting = True
                except Exception:
                    log.exception("courier_pass_failed")
                stop.wait(PAUSE_SECONDS)
            self._give_back()
        if self._pool is not None:
            self._pool.close()

    def _look(self, threads: ThreadPoolExecutor) -> bool:
        """Take a page of due runs and begin what may begin; return whether there may be more."""
        outbox, seconds = self._outbox, self._cluster.settings.lease_seconds
        with self._lock:
            if time.monotonic() - self._renewed_at > seconds / 3:
                outbox.keep(self._waiting, seconds)
                self._renewed_at = time.monotonic()
            self._begin(threads)
            taken = outbox.take(PAGE, seconds)
            too_many = [run for run in taken if not self._waiting.admit(run)]
            outbox.keep(too_many, random.uniform(*PARKED_SECONDS))
            self._begin(threads)
        return len(taken) == PAGE

    def _begin(self, threads: ThreadPoolExecutor) -> None:
        """Give threads to the runs whose turn it is; the caller has the lock."""
        while not self._is_ending and (found := self._waiting.next()) is not None:
            threads.submit(self._work, threads, *found)

    def _work(self, threads: ThreadPoolExecutor, run: Run, destination: Destination | None) -> None:
        """Make one try, or leave the run waiting for its receiver; then begin what follows."""
        delay: float | None = FAULT_SECONDS
        try:
            if destination is None and (name := self._receiver_of(self._cluster, run)) is not None:
                destination = Destination(run.tenant, name)
                with self._lock:
                    if not self._waiting.enter(run, destination):
                        self._begin(threads)
                        return
            delay = self._tried(run, destination)
            if delay is None:
                self._outbox.remove(run)
        except UnreadableRecord as error:
            note(run.name, error)
            delay = UNREADABLE_SECONDS
        except (RedisError, ScriptoriumError) as error:
            log.warning("delivery_interrupted", run=run.name, reason=str(error))
            delay = FAULT_SECONDS
        except Exception:
            log.exception("delivery_broken", run=run.name)
            delay = FAULT_SECONDS
        with self._lock:
            if delay == 0.0 and not self._is_ending:
                self._waiting.again(run)
            else:
                self._waiting.leave(run)
                if delay is not None:
                    self._postpone(run, delay)
            self._begin(threads)

    def _tried(self, run: Run, destination: Destination | None) -> float | None:
        """Make one try unless its receiver is dead, and see how quick that is.

        Return the seconds until the next step. Raises what the step does.
        """
        wait, is_dead = (0.0, False) if destination is None else self._asked(destination)
        if wait:
            if is_dead:
                left = self._step(self._cluster, run, self._webhooks, may_try=False).delay_seconds
                if not left:  # given up; 0: it owes another receiver
                    return left
            return wait + random.uniform(0.0, SPREAD_SECONDS)
        began, is_quick = time.monotonic(), False
        try:
            step = self._step(self._cluster, run, self._webhooks)
            if step.has_answered is not None:
                outcome = "answered" if step.has_answered else "failed"
                DELIVERY_TRIES.labels(step.kind, outcome).inc()
            is_quick = time.monotonic() - began < QUICK_SECONDS
            if destination is not None and step.has_answered is not None:
                self._told(destination, has_answered=step.has_answered)
            return step.delay_seconds
        finally:
            if destination is not None:
                with self._lock:
                    self._waiting.judge(destination, is_quick=is_quick)

    def _asked(self, destination: Destination) -> tuple[float, bool]:
        """Return how long a receiver's deliveries have to wait, and whether it is long dead.

        With 0 seconds this one begins.
        """
        now = time.monotonic()
        with self._lock:
            circuit = self._circuits.get(destination, CLOSED)
            if (wait := wait_seconds(circuit, now)) == 0.0 and circuit.is_open:
                self._circuits[destination] = begun(circuit, now)
            return wait, is_long_dead(circuit)

    def _told(self, destination: Destination, *, has_answered: bool) -> None:
        factor = self._cluster.settings.redelivery_factor
        with self._lock:
            before = self._circuits.pop(destination, CLOSED)
            after = told(before, time.monotonic(), has_answered=has_answered, factor=factor)
            if after != CLOSED:
                self._circuits[destination] = after
        if after.is_open and not before.is_open:
            log.warning(
                "receiver_is_dead", tenant=destination.tenant, receiver=destination.receiver
            )
        elif before.is_open and not after.is_open:
            log.info(
                "receiver_answers_again", tenant=destination.tenant, receiver=destination.receiver
            )

    def _give_back(self) -> None:
        """Make due at once, for others, what waits and was not begun."""
        with self._lock:
            self._is_ending = True
            idle = self._waiting.drop_idle()
            try:
                self._outbox.keep(idle, 0.0)
            except RedisError as error:  # they become due by themselves
                log.warning("runs_not_given_back", reason=str(error))

    def _webhooks(self) -> httpcore.ConnectionPool:
        with self._pool_lock:
            if self._pool is None:
                self._pool = webhook_pool(self._cluster.settings, THREADS)
            return self._pool

    def _postpone(self, run: Run, seconds: float) -> None:
        try:
            self._outbox.postpone(run, seconds)
        except RedisError as error:  # it becomes due again by itself, or by the next audit
            log.warning("delivery_not_postponed", run=run.name, reason=str(error))

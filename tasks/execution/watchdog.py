"""A thread in each worker process that renews the leases of running units until their deadline.

Celery's time limits do not reach threads. A unit past its deadline is hung: the watchdog logs
every thread's stack, releases the lease and ends the process, so that a supervisor starts a
fresh one and another worker takes the unit. It also takes back the tokens of tries that ended
while Redis was away.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog
from redis.exceptions import RedisError

from tasks.runs.units import Unit
from tasks.state.attempts import Attempts
from tasks.state.leases import Leases
from tasks.telemetry.metrics import LEASES_LOST

TURN_SECONDS = 24 * 3600.0  # that a unit may wait for its neighbours in the process
EXIT_HUNG = 70  # EX_SOFTWARE: the supervisor restarts on any non-zero status
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Running:
    key: str  # of the artifact being computed
    owner: str
    deadline: float  # on the monotonic clock
    thread: int
    unit: Unit | None
    shares: object  # the model of a batch that is run just now, with other units; else None
    named: Mapping[str, Any]  # job, stage and chunk, for the log


class Watchdog:
    """Renews leases from a thread that starts at the first unit: threads do not survive a fork."""

    def __init__(self, leases: Leases, attempts: Attempts, heartbeat_seconds: float) -> None:
        self._leases = leases
        self._attempts = attempts
        self._heartbeat_seconds = heartbeat_seconds
        self._running: dict[str, _Running] = {}
        self._lost: set[str] = set()  # owners of running units whose lease is lost
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._has_let_go = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(
        self, key: str, owner: str, seconds: float, unit: Unit | None = None
    ) -> Iterator[None]:
        """Renew the lease on `key` while the block runs, for at most `seconds`.

        When they are over the process ends, which counts as a death of the unit, and of those that
        share a batch with it.
        """
        self._start()
        with self._lock:
            self._running[owner] = _Running(
                key,
                owner,
                time.monotonic() + seconds,
                threading.get_ident(),
                unit,
                None,
                structlog.contextvars.get_contextvars(),
            )
        try:
            yield
        finally:
            with self._lock:
                del self._running[owner]
                self._lost.discard(owner)

    @contextmanager
    def grant(self, seconds: float) -> Iterator[None]:
        """Give this thread's units `seconds` more for the block, which then costs them nothing."""
        began = time.monotonic()
        self._postpone(seconds)
        try:
            yield
        finally:
            self._postpone(time.monotonic() - began - seconds)

    def waiting(self) -> AbstractContextManager[None]:
        """Let this thread's units wait for other units of the process, at no cost to their time."""
        return self.grant(TURN_SECONDS)

    @contextmanager
    def running(self, model: object) -> Iterator[None]:
        """Note that this thread's units share a batch of `model`, and the blame if it hangs."""
        self._share(model)
        try:
            yield
        finally:
            self._share(None)

    def _share(self, shares: object) -> None:
        thread = threading.get_ident()
        with self._lock:
            for owner, unit in self._running.items():
                if unit.thread == thread:
                    self._running[owner] = replace(unit, shares=shares)

    def _postpone(self, seconds: float) -> None:
        thread = threading.get_ident()
        with self._lock:
            for owner, unit in self._running.items():
                if unit.thread == thread:
                    self._running[owner] = replace(unit, deadline=unit.deadline + seconds)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="watchdog", daemon=True)
                self._thread.start()

    def _beat(self) -> None:
        while not self._over.wait(self._heartbeat_seconds):
            self._attempts.take_back()
            with self._lock:
                running = list(self._running.values())
            for unit in running:
                if time.monotonic() > unit.deadline:
                    with structlog.contextvars.bound_contextvars(**unit.named):
                        self._end_process(unit)
            self._renew(running)

    def _renew(self, running: Sequence[_Running]) -> None:
        """Renew all leases in one request: a worker has several units for as long as each takes."""
        try:
            with self._renewing:
                if self._has_let_go:  # to renew a lease that was released would take it again
                    return
                renewed = self._leases.renew([(unit.key, unit.owner) for unit in running])
        except RedisError as error:  # the work goes on; its artifact does not need Redis
            log.warning("lease_not_renewed", leases=len(running), reason=str(error))
            return
        for unit, is_renewed in zip(running, renewed, strict=True):
            if not is_renewed and self._is_news(unit):
                LEASES_LOST.inc()
                with structlog.contextvars.bound_contextvars(**unit.named):
                    log.warning("lease_lost", artifact=unit.key)

    def _is_news(self, unit: _Running) -> bool:
        """Tell whether the unit still runs and its loss was not reported before."""
        with self._lock:
            if unit.owner in self._lost or unit.owner not in self._running:
                return False
            self._lost.add(unit.owner)
            return True

    def release_all(self) -> None:
        """Release the leases of all units of this process, which is about to end."""
        with self._renewing:
            self._has_let_go = True
        with self._lock:
            running = list(self._running.values())
        with suppress(RedisError):  # they expire by themselves
            for unit in running:
                self._leases.release(unit.key, unit.owner)

    def end(self) -> None:
        """End the thread, in a process that goes on without this watchdog. No unit may run."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _end_process(self, unit: _Running) -> None:
        log.error("deadline_passed", artifact=unit.key)
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        with self._lock:
            others = list(self._running.values()) if unit.shares is not None else []
        together = [one.unit for one in others if one.shares is unit.shares]
        # Which unit of a batch is to blame shows when each is tried alone.
        self._attempts.forgive(but=[one for one in (unit.unit, *together) if one is not None])
        with suppress(RedisError):  # it expires by itself
            self._leases.release(unit.key, unit.owner)
        os._exit(EXIT_HUNG)

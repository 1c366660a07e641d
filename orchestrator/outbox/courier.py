"""The loop that delivers what is owed. Any number of couriers may run.

Each run is one's alone for a while, and for longer as long as its courier lives; several
are delivered at once, so that one slow receiver holds up nobody else.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpcore
import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.connection import Cluster
from orchestrator.outbox.delivery import deliver
from orchestrator.outbox.webhooks import webhook_pool
from tasks.runs.units import Run

THREADS = 8
PAUSE_SECONDS = 0.5  # between looks at what is due
FAULT_SECONDS = 15.0  # until the next step, if the store was away
log = structlog.get_logger(__name__)


class Courier:
    """Delivers until it is told to stop."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._busy: set[Run] = set()
        self._lock = threading.Lock()  # of `_busy` and of the due times of what is in it
        self._pool: httpcore.ConnectionPool | None = None  # made for the first webhook

    def run(self, stop: threading.Event) -> None:
        """Passes until told to stop; what is being tried then is tried to its end."""
        waiting = False  # said once, not at every pass of an outage
        with ThreadPoolExecutor(THREADS, "courier") as threads:
            while not stop.is_set():
                try:
                    self._hand_out(threads)
                    waiting = False
                except (RedisError, ScriptoriumError) as error:
                    if not waiting:
                        log.warning("courier_waits", reason=str(error))
                    waiting = True
                except Exception:
                    log.exception("courier_pass_failed")
                stop.wait(PAUSE_SECONDS)
        if self._pool is not None:
            self._pool.close()

    def _hand_out(self, threads: ThreadPoolExecutor) -> None:
        outbox, seconds = self._cluster.outbox, self._cluster.settings.lease_seconds
        with self._lock:
            outbox.hold(self._busy, seconds)
            if len(self._busy) >= THREADS:
                return
            taken = outbox.take(THREADS - len(self._busy), seconds)
            due = [run for run in taken if run not in self._busy]
            self._busy.update(due)
        for run in due:
            threads.submit(self._deliver, run)

    def _deliver(self, run: Run) -> None:
        """Step by step, for as long as the next one is due at once."""
        delay: float | None = FAULT_SECONDS
        try:
            delay = deliver(self._cluster, run, self._webhooks)
            while delay == 0.0:
                delay = deliver(self._cluster, run, self._webhooks)
            if delay is None:
                self._cluster.outbox.remove(run)
        except (RedisError, ScriptoriumError) as error:
            log.warning("delivery_interrupted", run=run.name, reason=str(error))
            delay = FAULT_SECONDS
        except Exception:
            log.exception("delivery_broken", run=run.name)
            delay = FAULT_SECONDS
        with self._lock:
            self._busy.discard(run)
            if delay is not None:
                self._postpone(run, delay)

    def _webhooks(self) -> httpcore.ConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = webhook_pool(self._cluster.settings)
            return self._pool

    def _postpone(self, run: Run, seconds: float) -> None:
        try:
            self._cluster.outbox.postpone(run, seconds)
        except RedisError as error:  # it is due again by itself, or by the next audit
            log.warning("delivery_not_postponed", run=run.name, reason=str(error))

"""The loop that delivers what is in the outbox. Any number of couriers may run.

A courier takes a run for a limited time and renews it while it lives. It delivers 8 runs at
once, so that one slow receiver does not delay the others; at most 6 of them are one tenant's, so
that a tenant with many receivers that say nothing does not delay the other tenants.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpcore
import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.outbox import Outbox
from orchestrator.cluster.unreadable import note
from orchestrator.outbox.delivery import deliver
from orchestrator.outbox.webhooks import webhook_pool
from tasks.runs.json_artifacts import UnreadableRecord
from tasks.runs.units import Run

THREADS = 8
TENANT_THREADS = 6  # of one tenant at most
LOOKED_AT = 200  # due runs in one look, so that others are seen behind a tenant's many
PAUSE_SECONDS = 0.5  # between two looks at the outbox
UNREADABLE_SECONDS = 600.0  # until the next try of a run whose records cannot be read
FAULT_SECONDS = 15.0  # until the next try, after the store or Redis was away
log = structlog.get_logger(__name__)
# One step for an entry: the seconds until the next one, or None when nothing more is owed.
Step = Callable[[Cluster, Run, Callable[[], httpcore.ConnectionPool]], float | None]


class Courier:
    """Delivers until its stop event is set."""

    def __init__(
        self, cluster: Cluster, outbox: Outbox | None = None, step: Step | None = None
    ) -> None:
        """Deliver what is in an outbox by a step for each entry; by default what jobs owe."""
        self._cluster = cluster
        self._outbox = outbox or cluster.outbox
        self._step = step or deliver
        self._busy: set[Run] = set()
        self._lock = threading.Lock()  # guards `_busy` and the due times of the runs in it
        self._pool: httpcore.ConnectionPool | None = None  # opened for the first webhook

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set; running tries are finished first."""
        waiting = False  # an outage is logged once, not at every pass
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
        outbox, seconds = self._outbox, self._cluster.settings.lease_seconds
        with self._lock:
            outbox.hold(self._busy, seconds)
            if len(self._busy) >= THREADS:
                return
            taken = [run for run in outbox.take(LOOKED_AT, seconds) if run not in self._busy]
            due = next_runs(taken, self._busy)
            outbox.hold(set(taken).difference(due), 0.0)  # due again, behind the others
            self._busy.update(due)
        for run in due:
            threads.submit(self._deliver, run)

    def _deliver(self, run: Run) -> None:
        """Make a run's tries while the next one is due at once; then postpone or remove it."""
        delay: float | None = FAULT_SECONDS
        try:
            delay = self._step(self._cluster, run, self._webhooks)
            while delay == 0.0:
                delay = self._step(self._cluster, run, self._webhooks)
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
            self._outbox.postpone(run, seconds)
        except RedisError as error:  # it becomes due again by itself, or by the next audit
            log.warning("delivery_not_postponed", run=run.name, reason=str(error))


def next_runs(taken: Sequence[Run], busy: Iterable[Run]) -> list[Run]:
    """Choose the runs to deliver now, in their order, beside those that are being delivered. Pure.

    There are at most THREADS in all, and TENANT_THREADS of one tenant.
    """
    of_tenant = Counter(run.tenant for run in busy)
    free, chosen = THREADS - of_tenant.total(), list[Run]()
    for run in taken:
        if len(chosen) < free and of_tenant[run.tenant] < TENANT_THREADS:
            of_tenant[run.tenant] += 1
            chosen.append(run)
    return chosen

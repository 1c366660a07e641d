"""Leave within the notice that a machine gives before it is taken away.

A preemptible machine tells its processes by SIGTERM, and ends them so many seconds later:
`notice_seconds`. A worker that is told takes nothing more and lets its units go on. What still
runs a few seconds before the end is handed back: the units' tries and leases are given up, so that
no death is counted, and then their messages are put in front of their tenants' lists, where another
worker finds them at once. A second SIGTERM means: hand back now.

Without the setting Celery handles SIGTERM: threads end their units, child processes hand theirs
back at once.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import structlog
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.signals import worker_ready
from celery.worker import state

from config.settings import settings
from tasks.deliveries import Deliveries
from tasks.execution.presence import leave_list, take_no_more
from tasks.execution.workplace import workplace
from tasks.telemetry.systemd import STOPPING, tell

HAND_BACK_SECONDS = 5.0  # of the notice: to write to Redis, and to end
LOOK_SECONDS = 0.2
STOP_SECONDS = 3.0  # in which the worker's loop must have stopped to take messages
UNWIND_SECONDS = 0.5  # in which a child that was told to end releases its leases
log = structlog.get_logger(__name__)


def working_seconds(notice_seconds: float) -> float:
    """Return how long units may go on after the signal. Pure."""
    return notice_seconds - min(HAND_BACK_SECONDS, notice_seconds / 2)


class Notice:
    """Waits for SIGTERM in a thread of its own, and then leads the worker to its end."""

    def __init__(self, consumer: Any, seconds: float) -> None:
        self._consumer = consumer
        self._seconds = seconds
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()  # a signal's handler may put
        self._stopped: Any = None  # the kombu consumer that takes nothing more
        self._has_stopped = threading.Event()

    def begin(self) -> None:
        """Handle SIGTERM from now on, in the place of Celery. Needs the main thread."""
        threading.Thread(target=self._lead, name="notice", daemon=True).start()
        signal.signal(signal.SIGTERM, lambda *_: self._told.put(None))

    def _lead(self) -> None:
        self._told.get()
        ends_at = time.monotonic() + working_seconds(self._seconds)
        take_no_more()
        tell(STOPPING)
        log.info("notice_given", seconds=self._seconds, units=len(state.reserved_requests))
        self._stop_taking()
        self._has_stopped.wait(min(STOP_SECONDS, working_seconds(self._seconds)))
        while state.reserved_requests and not self._is_over(ends_at):
            if self._consumer.task_consumer is not self._stopped:  # it has connected anew
                self._stop_taking()
        if state.reserved_requests:
            self._hand_back()
        state.should_stop = 0  # nothing runs: Celery's own end, with this exit status

    def _is_over(self, ends_at: float) -> bool:
        with suppress(queue.Empty):
            self._told.get(timeout=LOOK_SECONDS)
            return True
        return time.monotonic() >= ends_at

    def _stop_taking(self) -> None:
        self._consumer.hub.call_soon(self._take_nothing_more)

    def _take_nothing_more(self) -> None:
        """Let go of the queues and of messages that wait for their retry. In the worker's loop."""
        consumer = self._consumer
        self._stopped = consumer.task_consumer
        if self._stopped is not None:
            self._stopped.cancel()
        waiting = tuple(state.scheduled_requests)
        ids = set(map(id, waiting))
        for scheduled in list(consumer.timer.queue):
            if not ids.isdisjoint(map(id, scheduled.entry.args)):
                scheduled.entry.cancel()
        for request in waiting:
            request.reject(requeue=True)
            state.scheduled_requests.discard(request)
        self._has_stopped.set()

    def _hand_back(self) -> None:
        running = [request.id for request in tuple(state.reserved_requests)]
        log.warning("units_handed_back", messages=running)
        if isinstance(self._consumer.pool, PreforkPool):
            # The children's leases are released as their stacks are left; then Celery ends, and
            # closes its channel, which puts back what is not acknowledged.
            self._consumer.hub.call_soon(self._consumer.cancel_active_requests)
            time.sleep(UNWIND_SECONDS)
            state.should_terminate = 0
            return
        try:
            place = workplace()
            place.attempts.forgive()
            place.watchdog.release_all()
            held = getattr(self._consumer.task_consumer.channel, "qos", None)
            if isinstance(held, Deliveries):
                held.hand_back()
        except Exception as error:  # the leases expire, and the reconciler issues the units
            log.warning("not_handed_back", reason=repr(error))
        finally:
            leave_list()
            os._exit(0)  # threads cannot be ended; a broker takes back what a connection held


_notices: list[Notice] = []


@worker_ready.connect
def _begin(sender: Any = None, **_: Any) -> None:
    """Begin to wait for the signal; a worker is ready again after each reconnection."""
    seconds = settings().notice_seconds
    if seconds is None or _notices or threading.current_thread() is not threading.main_thread():
        return
    notice = Notice(sender, seconds)
    notice.begin()
    _notices.append(notice)

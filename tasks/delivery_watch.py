"""End a worker that holds messages for which it runs no unit: it would take no others.

A step of Celery's worker, which `tasks/broker.py` adds by its name, so that a process that only
sends messages does not import the worker.
"""

from __future__ import annotations

import os
import time
from typing import Any

import structlog
from celery.bootsteps import StartStopStep
from celery.worker import state
from kombu.transport.redis import QoS

EXIT_DEAF = 72  # EX_OSFILE: the supervisor restarts on any non-zero status
LOOK_SECONDS = 10.0  # between two looks at the slots
DEAF_SECONDS = 60.0  # after so long a message that no unit has is not just between two steps
log = structlog.get_logger(__name__)


class DeliveryWatch(StartStopStep):
    """A step of the worker: end the process if it holds messages for which it runs no unit."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None
        self._lost_since: float | None = None

    def start(self, parent: Any) -> None:
        """Begin to look; called again after each reconnection."""
        self._lost_since = None
        self._timer = parent.timer.call_repeatedly(LOOK_SECONDS, self.look, (parent,))

    def stop(self, parent: Any) -> None:
        """Stop to look."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self, parent: Any) -> None:
        """Look once; end the process if it has been deaf for DEAF_SECONDS."""
        deliveries = getattr(parent.task_consumer.channel, "qos", None)
        if not isinstance(deliveries, QoS):
            return
        known = len(state.reserved_requests) + len(state.scheduled_requests)
        held = len(deliveries._delivered) - len(deliveries._dirty)
        if held <= known:
            self._lost_since = None
            return
        now = time.monotonic()
        self._lost_since = self._lost_since or now
        if now - self._lost_since >= DEAF_SECONDS:
            log.error("worker_deaf", held=held, known=known, seconds=DEAF_SECONDS)
            os._exit(EXIT_DEAF)

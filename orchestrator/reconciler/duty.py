"""A duty beside the loop, in a thread of its own: slow, hung or failing, it delays nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.reconciler.leading import LeadLost

FAULT_SECONDS = 15.0  # until the next try after a fault; sooner if it is due sooner
SLOW_SECONDS = 600.0  # after so long a log line says that it is not done yet
log = structlog.get_logger(__name__)


class Duty:
    """Work that is due now and then. The loop starts it; it never runs twice at once."""

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        every_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._work = work
        self._every_seconds = every_seconds
        self._clock = clock
        self._due_at = float("-inf")
        self._slow_at = float("inf")
        self._waits = False  # said once, not at every try of an outage
        self._thread: threading.Thread | None = None

    def hurry(self) -> None:
        """Make it due now. A call while it runs may have no effect, so call this at each pass."""
        self._due_at = float("-inf")

    def start_if_due(self) -> None:
        """Start it in a thread if it is due and not running."""
        now = self._clock()
        if self._thread is not None and self._thread.is_alive():
            if now >= self._slow_at:
                log.warning("duty_slow", duty=self._name, seconds=SLOW_SECONDS)
                self._slow_at = float("inf")
            return
        if now < self._due_at:
            return
        self._slow_at = now + SLOW_SECONDS
        # A daemon: a duty that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._do, name=self._name, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until it has ended, if it runs; at most that many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _do(self) -> None:
        pause = min(self._every_seconds, FAULT_SECONDS)
        try:
            self._work()
            pause, self._waits = self._every_seconds, False
        except LeadLost:
            pause = 0.0  # due at once when this process leads again
        except (RedisError, OperationalError, ScriptoriumError) as error:
            if not self._waits:
                log.warning("duty_waits", duty=self._name, reason=str(error))
            self._waits = True
        except Exception:
            log.exception("duty_failed", duty=self._name)
        self._due_at = self._clock() + pause

"""A file that a process touches while it works; an old file means a hung process (`find -mmin`).

A Celery worker touches it with each heartbeat: from its main loop, every two seconds, and not
while it has no connection to its broker. The loops of other processes touch it at each turn,
also while they wait for a service that is down. systemd hears the same (`systemd`): the
first beat says that the process is ready, each one that it is alive.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from celery.signals import heartbeat_sent, worker_ready, worker_shutting_down

from config.settings import settings
from tasks.telemetry.systemd import ALIVE, READY, STOPPING, tell

LEAST_SECONDS = 1.0  # between touches
log = structlog.get_logger(__name__)


class Heartbeat:
    """The heartbeat of one process, for a file if there is one and for systemd if it asks."""

    def __init__(self, path: Path | None) -> None:
        """Delete the file that an earlier process has left: it would speak for this one."""
        self._path = path
        if path is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._beaten = float("-inf")
        self._is_told = False

    def beat(self) -> None:
        """Beat at most once in LEAST_SECONDS; log the first failure of the file and go on."""
        now = time.monotonic()
        if now - self._beaten < LEAST_SECONDS:
            return
        tell(*(() if self._beaten > 0 else (READY,)), ALIVE)
        self._beaten = now
        if self._path is None:
            return
        try:
            self._path.touch()
        except OSError as error:
            if not self._is_told:
                log.error("heartbeat_file_not_touched", reason=str(error))
            self._is_told = True


_of_worker: list[Heartbeat] = []  # filled when the worker is ready


@worker_ready.connect
def _begin(**_: Any) -> None:
    """Begin the worker's heartbeat when it is ready; before that it counts as unhealthy."""
    _of_worker.append(Heartbeat(settings().heartbeat_file))
    _of_worker[0].beat()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    tell(STOPPING)


@heartbeat_sent.connect
def _beat(**_: Any) -> None:
    if _of_worker:
        _of_worker[0].beat()

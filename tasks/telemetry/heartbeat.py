"""A file that a process touches while it works; an old file means a hung process (`find -mmin`).

A Celery worker touches it with each heartbeat: from its main loop, every two seconds, and not
while it has no connection to its broker. The loops of other processes touch it at each turn,
also while they wait for a service that is down.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import structlog
from celery.signals import heartbeat_sent, worker_ready

from config.settings import settings

LEAST_SECONDS = 1.0  # between touches
log = structlog.get_logger(__name__)


class Heartbeat:
    """The heartbeat of one process. Without a file it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._beaten = float("-inf")
        self._is_told = False

    def beat(self) -> None:
        """Touch the file, at most once in LEAST_SECONDS; log the first failure and go on."""
        now = time.monotonic()
        if self._path is None or now - self._beaten < LEAST_SECONDS:
            return
        self._beaten = now
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


@heartbeat_sent.connect
def _beat(**_: Any) -> None:
    if _of_worker:
        _of_worker[0].beat()

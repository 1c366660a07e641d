"""Sweep the scratch directory when a worker begins, and every hour while it lives."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from celery.signals import heartbeat_sent

from config.settings import settings
from tasks.execution.scratch import SWEEP_SECONDS, sweep

_swept_at: list[float] = []  # by the monotonic clock, in the main process


def sweep_from_now_on(directory: Path | None) -> None:
    """Sweep now, and from now on every hour."""
    _swept_at[:] = [time.monotonic()]
    sweep(directory)


@heartbeat_sent.connect
def _sweep_hourly(**_: Any) -> None:
    """Sweep in a thread: large files take a while, and the worker's loop must go on."""
    if _swept_at and time.monotonic() - _swept_at[0] > SWEEP_SECONDS:
        _swept_at[:] = [time.monotonic()]
        threading.Thread(
            target=sweep, args=(settings().work_dir,), name="sweep-scratch", daemon=True
        ).start()

"""Functions that update this process's metrics of units, models and queues.

Users cannot make labels have many values: a model is named only after it was loaded.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from celery.signals import task_prerun

from gpu_worker.diarization.models import diarize_model
from gpu_worker.models.builtin import FAKE_NAME
from tasks.broker import SENT_AT
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane, Stage
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tasks.telemetry.metrics import (
    AUDIO_SECONDS,
    BATCH_ROOM,
    BATCHED_WINDOWS,
    CACHE_REQUESTS,
    MODEL_LOAD_SECONDS,
    QUEUE_WAIT_SECONDS,
    REAL_TIME_FACTOR,
    UNIT_SECONDS,
    UNITS,
)

_QUEUES = {stage.queue(lane): (stage.value, lane.value) for stage in Stage for lane in Lane}


def count_end(unit: Unit, receipt: Receipt) -> None:
    """Count the end of a unit by its outcome."""
    UNITS.labels(unit.stage.value, receipt.outcome).inc()


def count_look(unit: Unit, found: bool) -> None:
    """Count a lookup of the unit's artifact as a hit or a miss."""
    CACHE_REQUESTS.labels(unit.stage.value, "hit" if found else "miss").inc()


def count_model(kind: str, seconds: float | None) -> None:
    """Count a request for a model; `seconds` is its loading time, None if already loaded."""
    CACHE_REQUESTS.labels(kind, "hit" if seconds is None else "miss").inc()
    if seconds is not None:
        MODEL_LOAD_SECONDS.labels(kind).observe(seconds)


def count_read(level: str, found: bool) -> None:
    """Count a look for audio or an artifact in memory, on the disk or in the store."""
    CACHE_REQUESTS.labels(level, "hit" if found else "miss").inc()


def count_batch(items: int, size: int) -> None:
    """Count a batch of windows, and how many windows it might have had."""
    BATCHED_WINDOWS.inc(items)
    BATCH_ROOM.inc(size)


def count_computing(unit: Unit, options: JobOptions, seconds: float, audio_seconds: float) -> None:
    """Record a computed unit: seconds of computing, seconds of audio and their ratio."""
    labels = (unit.stage.value, model_label(unit.stage, options))
    UNIT_SECONDS.labels(*labels).observe(seconds)
    AUDIO_SECONDS.labels(*labels).inc(audio_seconds)
    if audio_seconds > 0:
        REAL_TIME_FACTOR.labels(*labels).observe(seconds / audio_seconds)


def model_label(stage: Stage, options: JobOptions) -> str:
    """Return the name of the model that sets the stage's speed; empty for one without a model."""
    kind = stage.definition.model
    if kind == "speakers":
        return _named(diarize_model(options.model, options.diarize_model))
    return _named(options.model) if kind == "transcription" else ""


def _named(model: str) -> str:
    if FAKE_NAME.match(model):
        return "fake"
    return "directory" if Path(model).is_absolute() else model


@task_prerun.connect
def _count_wait(task: Any = None, **_: Any) -> None:
    """Record how long a task's message waited; retries and redelivered messages do not count."""
    request = task.request
    route: dict[str, Any] = request.delivery_info or {}
    labels, sent_at = _QUEUES.get(route.get("routing_key", "")), request.get(SENT_AT)
    if labels is None or sent_at is None or request.retries or route.get("redelivered"):
        return
    ready_at = datetime.fromisoformat(request.eta).timestamp() if request.eta else sent_at
    QUEUE_WAIT_SECONDS.labels(*labels).observe(max(0.0, time.time() - max(sent_at, ready_at)))

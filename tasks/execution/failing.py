"""Carry out what `retries.py` decides for a unit's error: retry, end the process, or give up."""

from __future__ import annotations

import os
import random
import sys
from contextlib import suppress
from typing import Any, NoReturn

import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import (
    ChunkCrashed,
    PermanentError,
    RetriesExhausted,
    ScriptoriumError,
    TransientError,
)
from tasks.artifacts import encode
from tasks.execution.retries import EndProcess, Retry, decide
from tasks.execution.workplace import Workplace
from tasks.faults import code_of
from tasks.runs import keys
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tasks.telemetry.metrics import DEAD_LETTERS, ERRORS, RETRIES

EXIT_POISONED = 71  # EX_OSERR: the device's state is corrupt
log = structlog.get_logger(__name__)


def settle(
    task: Any, place: Workplace, unit: Unit, error: Exception, key: str | None = None
) -> Receipt:
    """Do what the retry table says: raise Celery's Retry, end the process, or give the unit up.

    Returns the receipt of a unit that was given up. `key` is its artifact, if it is known.
    """
    decision = decide(
        error, task.request.retries, place.settings.max_retries, jitter=random.random()
    )
    if isinstance(decision, EndProcess):
        log.error("process_poisoned", reason=str(error))
        os._exit(EXIT_POISONED)
    if isinstance(decision, Retry):
        log.warning("unit_retried", reason=repr(error), delay_seconds=decision.delay_seconds)
        _retry(task, place, unit, key, error, decision.delay_seconds)
    log.error("unit_failed", code=decision.error.code, reason=decision.error.message)
    log.debug("unit_failed_at", exc_info=error)
    try:
        _give_up(place, unit, decision.error)
    except TransientError as fault:  # the store is down, and the failure must not be lost
        _retry(task, place, unit, key, fault, place.settings.lease_seconds)
    ERRORS.labels(unit.stage.value, decision.error.code).inc()
    return Receipt("failed", detail=decision.error.to_json())


def _retry(
    task: Any, place: Workplace, unit: Unit, key: str | None, error: Exception, delay: float
) -> NoReturn:
    RETRIES.labels(unit.stage.value, code_of(error)).inc()
    if key is not None:
        with suppress(RedisError):  # the reconciler may issue it once more, which is harmless
            place.leases.reserve(key, task.request.id, delay)
    # The table has decided; None would mean Celery's own limit of 3, past which it raises `error`.
    raise task.retry(exc=error, countdown=delay, max_retries=sys.maxsize)


def _give_up(place: Workplace, unit: Unit, error: ScriptoriumError) -> None:
    """Write the failure to the store; if it is not the submitter's fault, a dead letter too."""
    data = encode(error.to_json())
    place.store.put(keys.failed(unit), data)
    is_ours = isinstance(error, (ChunkCrashed, RetriesExhausted))
    is_ours = is_ours or not isinstance(error, PermanentError)
    if is_ours and place.store.put(keys.dead_letter(unit), data):
        DEAD_LETTERS.labels(unit.stage.value, error.code).inc()

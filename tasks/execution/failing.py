"""Carry out what `retries.py` decides for a unit's error: retry, end the worker, or give up."""

from __future__ import annotations

import random
import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import sleep
from typing import Any, NoReturn

import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import (
    ChunkCrashed,
    ModelUnavailable,
    PermanentError,
    RetriesExhausted,
    ScriptoriumError,
    StoreRefused,
)
from gpu_worker.models.faults import ModelUnusable
from tasks.artifacts import encode, exists
from tasks.execution.retries import (
    EndProcess,
    Fail,
    Retry,
    TestWorker,
    Tries,
    decide,
    is_suspicious,
)
from tasks.execution.workplace import Workplace
from tasks.faults import code_of, may_pass
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tasks.telemetry.metrics import DEAD_LETTERS, ERRORS, JOBS_ENDED, RETRIES

TRIED_BY = "scriptorium_tried_by"  # header of a retried message: `Tries.charged`
SLOT_SECONDS = 5.0  # that a unit keeps its slot which another worker can compute
# How often it does: some 50 s. That one had its model once does not say that one has it still, and
# units of a model that is gone for good would hold up all others for as long as they are awaited.
TRIES_IN_SLOT = 12
log = structlog.get_logger(__name__)


def settle(
    task: Any, place: Workplace, unit: Unit, error: Exception, key: str | None = None
) -> Receipt:
    """Do what the retry table says: raise Celery's Retry, end the worker, or give the unit up.

    Returns the receipt of a unit that was given up. `key` is its artifact, if it is known.
    """
    decision = _decide(task, place, unit, error)
    if isinstance(decision, EndProcess):
        log.error("process_poisoned", reason=str(error))
        place.leave(charged=unit)
    if is_suspicious(error) and place.fitness.failed(unit.run):
        place.leave()
    if isinstance(decision, Retry):
        log.warning("unit_retried", reason=repr(error), delay_seconds=decision.delay_seconds)
        _retry(task, place, unit, key, error, decision)
    assert isinstance(decision, Fail)
    log.error("unit_failed", code=decision.error.code, reason=decision.error.message)
    log.debug("unit_failed_at", exc_info=error)
    try:
        _give_up(place, unit, decision.error)
    except Exception as fault:  # the store is away, and the failure must not be lost
        if not may_pass(fault) and not isinstance(fault, StoreRefused):
            raise
        _retry(task, place, unit, key, fault, Retry(place.settings.lease_seconds, is_charged=False))
    ERRORS.labels(unit.stage.value, decision.error.code).inc()
    return Receipt("failed", detail=decision.error.to_json())


def _decide(task: Any, place: Workplace, unit: Unit, error: Exception) -> Retry | Fail | EndProcess:
    """Ask the table; if it wants to know whether the worker is fit, test it and leave if not."""
    ask = partial(
        decide,
        error,
        Tries(_charged(task.request), task.request.retries, place.worker),
        place.settings.max_retries,
        random.random(),
        can_be_missing=unit.stage.definition.can_be_missing,
    )
    decision = ask()
    if isinstance(error, ModelUnusable) and _is_known_elsewhere(place, error.model):
        # Its own test passes, and it would fail each unit with that model in a moment.
        log.error("worker_unfit", code=error.code, reason=error.message, hint=error.advice)
        # Or all workers would leave again and again for a model that is broken everywhere: the next
        # one leaves if the model was used since, and fails the unit otherwise.
        with suppress(RedisError):
            place.speeds.forget(error.model)
        place.leave()
    if isinstance(decision, TestWorker):
        log.warning("worker_fault", reason=repr(error))
        if not place.fitness.is_fit():
            place.leave()
        decision = ask(is_fit=True)
        assert not isinstance(decision, TestWorker)
    if (
        isinstance(decision, Retry)
        and isinstance(error, ModelUnavailable)
        and task.request.retries < TRIES_IN_SLOT
        and _is_computed_elsewhere(place, unit)
    ):
        delay = min(decision.delay_seconds, SLOT_SECONDS)
        return replace(decision, delay_seconds=delay, holds_slot=True)
    return decision


def _is_known_elsewhere(place: Workplace, model: str) -> bool:
    """Tell whether a worker has computed a unit with that model since one left because of it."""
    with suppress(RedisError):
        return any(name.model == model for name in place.speeds.read())
    return False


def _is_computed_elsewhere(place: Workplace, unit: Unit) -> bool:
    """Tell whether a worker has computed such a unit with the model of its run."""
    try:
        model = place.records.resolved(unit.run).options.model
        return any((it.stage, it.model) == (unit.stage, model) for it in place.speeds.read())
    except Exception:  # Redis is away, the job was deleted: then it waits as for any service
        return False


def _charged(request: Any) -> tuple[str, ...]:
    """Return the workers of the tries of this message that are charged to the unit."""
    headers = request.headers or {}  # where Celery's eager mode puts it
    charged = request.get(TRIED_BY, headers.get(TRIED_BY))
    return ("",) * request.retries if charged is None else tuple(charged)


def _retry(
    task: Any,
    place: Workplace,
    unit: Unit,
    key: str | None,
    error: Exception,
    decision: Retry,
) -> NoReturn:
    RETRIES.labels(unit.stage.value, code_of(error)).inc()
    delay, request = decision.delay_seconds, task.request
    if key is not None:
        with suppress(RedisError):  # the reconciler may issue it once more, which is harmless
            place.leases.reserve(key, request.id, delay)
    if decision.holds_slot:
        sleep(delay)
        delay = 0.0
    charged = [*_charged(request), *([place.worker] if decision.is_charged else [])]
    # The table has decided; None would mean Celery's own limit of 3, past which it raises `error`.
    raise task.retry(
        exc=error,
        countdown=delay,
        max_retries=sys.maxsize,
        headers=(request.headers or {}) | {TRIED_BY: charged},
    )


def _give_up(place: Workplace, unit: Unit, error: ScriptoriumError) -> None:
    """Write the failure to the store; if it is not the submitter's fault, a dead letter too.

    Without its last stage a run has no other end, so the failure of that is its result. Of a job
    that is deleted nothing is written: it would stay for ever. Its messages may come hours later.
    """
    if not exists(place.store, keys.manifest(unit.run.tenant, unit.run.job)):
        log.info("unit_of_no_job")
        return
    data = encode(error.to_json())
    place.store.put(keys.failed(unit), data)
    if unit.stage is Stage.ASSEMBLE:
        result = encode(result_record(error=error.to_json()))
        if place.store.put(keys.of_run(unit.run, keys.RESULT), result):
            JOBS_ENDED.labels("failed").inc()
    is_ours = isinstance(error, (ChunkCrashed, RetriesExhausted))
    is_ours = is_ours or not isinstance(error, PermanentError)
    if is_ours and place.store.put(keys.dead_letter(unit), data):
        DEAD_LETTERS.labels(unit.stage.value, error.code).inc()

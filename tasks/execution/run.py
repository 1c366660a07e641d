"""How every stage is run: look for the artifact, take the lease, work, commit.

A stage says what its artifact is called and how it is computed (`Work`); the rest
is the same for all and is here: running anything twice is harmless, a unit that
kills its worker is given up after a few attempts, and no error reaches the chord.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NoReturn
from uuid import uuid4

import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import (
    ChunkCrashed,
    DevicePoisoned,
    PermanentError,
    RetriesExhausted,
    ScriptoriumError,
    TransientError,
)
from tasks.execution.ending import account
from tasks.execution.retries import EndProcess, Retry, code_of, decide
from tasks.execution.workplace import Workplace, workplace
from tasks.runs import keys
from tasks.runs.records import encode, exists
from tasks.runs.units import Unit
from tasks.state.cancellations import Canceled
from tasks.state.receipts import Receipt
from tasks.telemetry.counts import count_look
from tasks.telemetry.metrics import DEAD_LETTERS, ERRORS, RETRIES
from tasks.telemetry.tracing import unit_span

EXIT_POISONED = 71  # EX_OSERR: the device's state is corrupt
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage would do for one unit."""

    key: str  # of the artifact
    compute: Callable[[Callable[[], None]], dict[str, Any] | bytes | None]
    """Given a check that raises Canceled; None means that it is too early."""
    audio_seconds: float = 0.0
    deadline_seconds: float = 0.0  # at least; the settings may grant more
    timed: bool = True  # put the receipt into the artifact
    tell: Callable[[Any], None] | None = None  # of what was written, once


def run_unit(task: Any, unit: Unit, describe: Callable[[Workplace, Unit], Work]) -> Receipt:
    """Do the unit unless it is done, and say how it ended. Raises only Celery's own Retry."""
    place = workplace()
    with (
        structlog.contextvars.bound_contextvars(
            worker=place.worker,
            tenant=unit.run.tenant,
            job=unit.run.job,
            run=unit.run.number,
            stage=unit.stage.value,
            chunk=unit.index,
        ),
        unit_span(place, task.request, unit) as tell,
    ):
        work: Work | None = None
        try:
            _check(place, unit)  # of a deleted job nothing is left to describe
            work = describe(place, unit)
            receipt = _checkpointed(place, unit, work, task.request.id)
        except Canceled:
            receipt = Receipt("canceled")
        except Exception as error:
            receipt = settle(task, place, unit, error, work.key if work else None)
        receipt = replace(receipt, worker=place.worker, finished_at=time.time())
        tell(receipt)
        log.info("unit_ended", **receipt.to_json())
        account(place, unit, receipt)
        return receipt


def _checkpointed(place: Workplace, unit: Unit, work: Work, task_id: str) -> Receipt:
    found = exists(place.store, work.key)
    count_look(unit, found)
    if found:
        return Receipt("cached", audio_seconds=work.audio_seconds)
    owner = f"{place.worker}:{uuid4().hex}"
    if not place.leases.take(work.key, owner, task_id):
        return Receipt("elsewhere")
    try:
        if place.attempts.begin(unit) > place.settings.max_attempts:
            raise ChunkCrashed(
                f"The worker died {place.settings.max_attempts} times while it worked on this."
            )
        try:
            receipt = _computed(place, unit, work, owner)
        except DevicePoisoned:
            raise  # this process is about to die of it, which counts
        except BaseException:
            place.attempts.survived(unit)
            raise
        place.attempts.survived(unit)
        return receipt
    finally:
        place.leases.release(work.key, owner)


def _computed(place: Workplace, unit: Unit, work: Work, owner: str) -> Receipt:
    started = time.perf_counter()
    log.info("unit_started", artifact=work.key)
    with place.watchdog.watch(work.key, owner, _deadline(place, work)):
        data = work.compute(lambda: _check(place, unit))
        if data is None:
            return Receipt("incomplete")
        receipt = Receipt(
            "computed",
            seconds=round(time.perf_counter() - started, 4),
            audio_seconds=work.audio_seconds,
            worker=place.worker,
            finished_at=time.time(),
            detail={"unit": unit.name},
        )
        _check(place, unit)
        if not place.store.put(work.key, _body(place, work, data, receipt)):
            return replace(receipt, outcome="cached")  # another worker was first
    if work.tell is not None:
        work.tell(data)
    return receipt


def _body(place: Workplace, work: Work, data: dict[str, Any] | bytes, receipt: Receipt) -> bytes:
    """The artifact with its receipt inside, or beside it if it is not JSON."""
    if isinstance(data, bytes):
        place.store.put(keys.receipt(work.key), encode(receipt.to_json()))
        return data
    return encode(data | {"receipt": receipt.to_json()} if work.timed else data)


def settle(
    task: Any, place: Workplace, unit: Unit, error: Exception, key: str | None = None
) -> Receipt:
    """Do what the retry table says: raise Celery's Retry, end the process, or give up."""
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
    except TransientError as fault:  # the failure itself must not be lost
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
    """Write the failure down; what is not the submitter's fault also as a dead letter."""
    data = encode(error.to_json())
    place.store.put(keys.failed(unit), data)
    is_ours = isinstance(error, (ChunkCrashed, RetriesExhausted))
    is_ours = is_ours or not isinstance(error, PermanentError)
    if is_ours and place.store.put(keys.dead_letter(unit), data):
        DEAD_LETTERS.labels(unit.stage.value, error.code).inc()


def _check(place: Workplace, unit: Unit) -> None:
    if place.cancellations.is_canceled(unit.run):
        raise Canceled


def _deadline(place: Workplace, work: Work) -> float:
    values = place.settings
    by_audio = work.audio_seconds * values.deadline_factor
    return max(values.deadline_floor_seconds, work.deadline_seconds, by_audio)

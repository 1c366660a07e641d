"""How a unit begins and ends, the same for every stage: log, span, counters, ledger, speed.

All of these are hints; the artifact is the fact. So a fault here is only logged, and the unit
has ended all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import structlog
from redis.exceptions import RedisError

from tasks.execution.workplace import Workplace, workplace
from tasks.runs.canvas import assembly
from tasks.runs.options import JobOptions
from tasks.runs.stages import EARLY_STAGES
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tasks.state.speeds import SpeedName, observe_arguments
from tasks.state.unit_requests import Hold
from tasks.telemetry.counts import count_computing, count_end, count_look
from tasks.telemetry.tracing import unit_span

log = structlog.get_logger(__name__)
End = Callable[..., Receipt]  # of a receipt and, if there is one, a `Hold`


@contextmanager
def begin(task: Any, unit: Unit) -> Iterator[tuple[Workplace, End]]:
    """Open one try of a unit: its span, and its names in each line of the log.

    Yields the workplace and the function that ends the unit: it gives back what the unit holds,
    records the receipt, and returns it with the worker's name and the time added.
    """
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
        unit_span(place, task.request, unit) as describe_end,
    ):

        def end(receipt: Receipt, hold: Hold | None = None) -> Receipt:
            ended = replace(receipt, worker=place.worker, finished_at=time.time())
            describe_end(ended)
            log.info("unit_ended", **ended.to_json())
            _record(place, unit, ended, hold)
            return ended

        yield place, end


def end_found(place: Workplace, unit: Unit) -> None:
    """Record the unit as cached: its artifact exists, so no task is sent for it."""
    count_look(unit, found=True)
    _record(place, unit, Receipt("cached"))


def _record(place: Workplace, unit: Unit, receipt: Receipt, hold: Hold | None = None) -> None:
    """Count the end, and tell Redis; log its fault: leases expire, and tries are taken back."""
    count_end(unit, receipt)
    measured = _measured(place, unit, receipt) if receipt.outcome == "computed" else None
    speed: list[Any] = []
    if measured is not None:
        count_computing(unit, *measured)
        options, seconds, audio_seconds = measured
        pool = place.settings.worker_pool or unit.stage.pool.value
        speed = observe_arguments(
            SpeedName(pool, unit.stage, options.model), seconds, audio_seconds
        )
    try:
        place.unit_requests.end(unit, hold, receipt, speed)
    except RedisError as error:
        log.warning("receipt_not_recorded", reason=str(error))


def _measured(
    place: Workplace, unit: Unit, receipt: Receipt
) -> tuple[JobOptions, float, float] | None:
    """Return a computed unit's options, seconds of computing and seconds of audio.

    A stage of the whole job takes the file's length from the plan. Returns None, logged, if a
    record cannot be read.
    """
    try:
        options = place.records.resolved(unit.run).options
        plan_of = place.records.plan
        audio = receipt.audio_seconds or plan_of(unit.run.tenant, unit.run.job).seconds
    except Exception as error:  # the job was deleted, the store is down, a record is broken
        log.warning("unit_not_measured", reason=repr(error))
        return None
    return options, receipt.seconds, audio


def end_early(task: Any, unit: Unit, receipt: Receipt) -> None:
    """Drop the rest of the chain after a failed early stage; send `assemble` for its failure."""
    if unit.stage not in EARLY_STAGES or receipt.outcome in ("computed", "cached"):
        return
    task.request.chain = None
    if receipt.outcome == "failed":
        assembly(task.app, unit.run).apply_async(ignore_result=True)

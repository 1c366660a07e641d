"""What is told about a unit that has ended: its receipt, how fast it was, the process's counts.

All of it is a hint; the artifact is there. So a fault here is logged, and the unit has ended all
the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from tasks.execution.workplace import Workplace
from tasks.runs.options import JobOptions
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tasks.state.speeds import SpeedName
from tasks.telemetry.counts import count_computing, count_end

log = structlog.get_logger(__name__)


def account(place: Workplace, unit: Unit, receipt: Receipt) -> None:
    """Put a unit's end on record."""
    count_end(unit, receipt)
    work = _work(place, unit, receipt) if receipt.outcome == "computed" else None
    if work is not None:
        count_computing(unit, work.options, receipt.seconds, work.audio_seconds)
    try:
        if receipt.settled:
            place.ledger.record(unit, receipt)
        if work is not None:
            pool = place.settings.worker_pool or unit.stage.pool.value
            name = SpeedName(pool, unit.stage, work.options.model)
            place.speeds.observe(name, receipt.seconds, work.audio_seconds)
    except RedisError as error:
        log.warning("receipt_not_recorded", reason=str(error))


@dataclass(frozen=True, slots=True)
class _Work:
    options: JobOptions
    audio_seconds: float


def _work(place: Workplace, unit: Unit, receipt: Receipt) -> _Work | None:
    """The audio of a stage of the whole job is the file, whose length its plan knows."""
    try:
        options = place.records.resolved(unit.run).options
        audio = receipt.audio_seconds or place.records.plan(unit.run.tenant, unit.run.job).seconds
    except Exception as error:  # the job was deleted, the store is away, a record is broken
        log.warning("unit_not_measured", reason=repr(error))
        return None
    return _Work(options, audio)

"""What is told about a unit that has ended: its receipt, how fast it was, the process's counts.

All of it is a hint; the artifact is there. So a fault here is logged, and the unit has ended all
the same.
"""

from __future__ import annotations

import structlog
from redis.exceptions import RedisError

from tasks.artifacts import ArtifactMissing
from tasks.lifecycle import Workplace
from tasks.receipts import Receipt
from tasks.speeds import SpeedName
from tasks.stages import Unit

log = structlog.get_logger(__name__)


def account(place: Workplace, unit: Unit, receipt: Receipt) -> None:
    """Put a unit's end on record."""
    try:
        if receipt.settled:
            place.ledger.record(unit, receipt)
        if receipt.outcome == "computed":
            _observe_speed(place, unit, receipt)
    except RedisError as error:
        log.warning("receipt_not_recorded", reason=str(error))


def _observe_speed(place: Workplace, unit: Unit, receipt: Receipt) -> None:
    """The audio of a stage of the whole job is the file, whose length its plan knows."""
    try:
        model = place.records.manifest(unit.tenant, unit.job).options.model
        audio = receipt.audio_seconds or place.records.plan(unit.tenant, unit.job).seconds
    except ArtifactMissing:  # the job was deleted meanwhile
        return
    name = SpeedName(place.settings.worker_pool or unit.stage.pool.value, unit.stage, model)
    place.speeds.observe(name, receipt.seconds, audio)

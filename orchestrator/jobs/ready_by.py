"""When a submitter wants a job to be ready: an ISO time with its zone, or seconds from now."""

from __future__ import annotations

import math
import time
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, TypeAdapter, ValidationError, WithJsonSchema

from gpu_worker.errors import InvalidOption

LONGEST_SECONDS = 366 * 86_400.0  # from now
_TIME: TypeAdapter[Any] = TypeAdapter(AwareDatetime)
_WRITTEN = "write a time with its zone, as 2030-05-01T18:00:00+02:00, or seconds from now"


class ReadyByPassed(InvalidOption):
    """The time at which the job should be ready has passed."""

    code = "ready_by_passed"
    param = "ready_by"
    hint = "Name a time that is still to come, or none."


def moment(value: Any, now: float) -> float:
    """Return what was written as seconds since 1970; `now` is so, too. Raises ValueError."""
    try:
        left = float(value)
    except (TypeError, ValueError):
        left = _time(value) - now
    else:
        if isinstance(value, bool) or not left > 0:
            raise ValueError(_WRITTEN)
    if not math.isfinite(left) or left > LONGEST_SECONDS:
        raise ValueError("at most a year from now")
    return round(now + left, 3)


def check_ready_by(ready_by: float | None, now: float) -> None:
    """Raise ReadyByPassed for a time in the past.

    It is asked when a job is accepted, not when its fields are read: a message that is delivered
    again later gives the job that was accepted in time.
    """
    if ready_by is not None and ready_by <= now:
        raise ReadyByPassed()


def _time(value: Any) -> float:
    try:
        return float(_TIME.validate_python(value, strict=False).timestamp())
    except (ValidationError, OverflowError, OSError):
        raise ValueError(_WRITTEN) from None


ReadyBy = Annotated[
    float,
    BeforeValidator(lambda value: moment(value, time.time())),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "exclusiveMinimum": 0},
            ]
        }
    ),
]

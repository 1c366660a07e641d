"""When a submitter wants a job to be ready: an ISO time with its zone, or a time from now.

A time from now is a number of seconds, an ISO 8601 duration (`PT2H30M`), or words: `in 2 h 30 min`.
"""

from __future__ import annotations

import math
import re
import time
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, TypeAdapter, ValidationError, WithJsonSchema

from gpu_worker.errors import InvalidOption

LONGEST_SECONDS = 366 * 86_400.0  # from now
_TIME: TypeAdapter[Any] = TypeAdapter(AwareDatetime)
_DURATION: TypeAdapter[timedelta] = TypeAdapter(timedelta)
_PART = re.compile(
    r"(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)(?:\s+|(?=\d)|$)",
    re.IGNORECASE | re.ASCII,
)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}  # by first letter
LONGEST_TEXT = 100  # characters
_WRITTEN = "write a time with its zone, as 2030-05-01T18:00:00+02:00, or a time from now, as 2 h"


class ReadyByPassed(InvalidOption):
    """The time at which the job should be ready has passed."""

    code = "ready_by_passed"
    param = "ready_by"
    hint = "Name a time that is still to come, or none."


def moment(value: Any, now: float) -> float:
    """Return what was written as seconds since 1970; `now` is so, too. Raises ValueError."""
    found = _from_now(value)
    left = _time(value) - now if found is None else found
    if not math.isfinite(left) or left > LONGEST_SECONDS:
        raise ValueError("at most a year from now")
    return round(now + left, 3)


def seconds_from_now(value: Any) -> float:
    """Return what was written as seconds from now, for what is counted later than it is written.

    Raises ValueError, also for a time of a day.
    """
    left = _from_now(value)
    if left is None or not left <= LONGEST_SECONDS:
        raise ValueError("write a time from then on, as 2 h, of at most a year")
    return left


def due_within(seconds: float | None, now: float) -> float | None:
    """Return what is so many seconds from now, in seconds since 1970; None without a number."""
    return None if seconds is None else round(now + seconds, 3)


def check_ready_by(ready_by: float | None, now: float) -> None:
    """Raise ReadyByPassed for a time in the past.

    It is asked when a job is accepted, not when its fields are read: a message that is delivered
    again later gives the job that was accepted in time.
    """
    if ready_by is not None and ready_by <= now:
        raise ReadyByPassed()


def _from_now(value: Any) -> float | None:
    """Return seconds from now; None for what is no such time. Raises ValueError for less than 0."""
    try:
        left = float(value)
    except (TypeError, ValueError, OverflowError):
        return _of_words(value) if isinstance(value, str) else None
    if isinstance(value, bool) or not left > 0:
        raise ValueError(_WRITTEN)
    return left


def _of_words(text: str) -> float | None:
    words = text.strip()
    if len(words) > LONGEST_TEXT:
        return None
    if words[:1] in ("P", "p"):
        try:
            left = _DURATION.validate_python(words).total_seconds()
        except (ValidationError, OverflowError):
            return None
    else:
        words = re.sub(r"^in\s+", "", words, flags=re.IGNORECASE)
        parts = _PART.findall(words)
        if not parts or _PART.sub("", words).strip():
            return None
        left = sum(float(number) * _SECONDS[unit[0].lower()] for number, unit in parts)
    if not left > 0:
        raise ValueError(_WRITTEN)
    return left


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
                {"type": "string", "description": "A time from now, as `in 2 h` or `PT2H`."},
            ]
        }
    ),
]
ReadyWithin = Annotated[float, BeforeValidator(seconds_from_now)]

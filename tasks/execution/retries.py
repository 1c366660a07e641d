"""What follows from an error: try again, give up, or end the process. A pure table.

permanent         fail at once
out of memory     once more, on another worker if there is one; then fail
poisoned process  end it; the supervisor starts another
transient         backoff with jitter, capped in number and delay; then fail
any other error   a bug or an unknown fault: once more, then fail
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.errors import (
    DevicePoisoned,
    OutOfMemory,
    PermanentError,
    RetriesExhausted,
    ScriptoriumError,
    TransientError,
)
from tasks.faults import PASSING_FAULTS

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 60.0  # under the visibility timeout, or Redis delivers it twice


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after a delay."""

    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Give the unit up with this error."""

    error: ScriptoriumError


@dataclass(frozen=True, slots=True)
class EndProcess:
    """End the process: its device can compute no more."""


Decision = Retry | Fail | EndProcess


def decide(error: Exception, tries: int, max_retries: int, jitter: float) -> Decision:
    """Decide what to do after try number `tries` (from 0) ended in `error`.

    `jitter` in 0..1 spreads equal delays; the caller draws it, so this function stays pure.
    """
    if isinstance(error, DevicePoisoned):
        return EndProcess()
    if isinstance(error, PermanentError):
        return Fail(error)
    if isinstance(error, PASSING_FAULTS):
        if tries < max_retries:
            return Retry(backoff(tries, jitter))
        advice = error.advice if isinstance(error, TransientError) else None
        return Fail(RetriesExhausted(f"After {tries + 1} tries: {_sentence(error)}", hint=advice))
    if tries < 1:
        return Retry(backoff(tries, jitter))
    if isinstance(error, OutOfMemory):
        return Fail(error)
    return Fail(ScriptoriumError(f"An unexpected error: {_sentence(error)}"))


def backoff(tries: int, jitter: float) -> float:
    """Return the delay in seconds after try `tries`: half to all of a time that doubles."""
    nominal = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0**tries)
    return nominal * (0.5 + jitter / 2)


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]

"""Decide when a failed delivery is tried again, and when it is given up. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from gpu_worker.errors import PermanentError, ScriptoriumError, StoreRefused

# Seconds after the first try, the second and so on: ten tries within 16 hours.
DELAYS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)
MAX_TRIES = len(DELAYS) + 1
LONGEST_RETRY_AFTER = 3600.0  # seconds; the longest delay that a receiver may ask for
KEPT_SECONDS = 3 * 86_400.0  # a delivery waits no longer for a receiver that is dead
_PASSING = (408, 425, 429)  # statuses below 500 that mean: try later


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one try."""

    done: bool
    reason: str | None = None  # why it failed
    passing: bool = False  # another try may succeed
    retry_after: float = 0.0  # seconds that the receiver asks for


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a delivery came to."""

    delay_seconds: float | None = None  # until the next one; None: nothing more is owed
    has_answered: bool | None = None  # the receiver, with success or refusal; None: not asked
    kind: str = "webhook"  # what was tried: a webhook, or an output


@dataclass(frozen=True, slots=True)
class Verdict:
    """The next step: another try after `delay_seconds`, or none."""

    delay_seconds: float | None = None

    @property
    def final(self) -> bool:
        """Whether there are no more tries."""
        return self.delay_seconds is None


DONE = Outcome(done=True)
EXPIRED = Outcome(False, "The receiver has not answered for three days.")


def verdict(outcome: Outcome, tries: int, factor: float = 1.0, *, is_late: bool = False) -> Verdict:
    """Decide what follows the outcome of try number `tries`; `factor` scales the delay.

    What is late is tried no more: it had its try also if no process ran for days.
    """
    if outcome.done or not outcome.passing or tries >= MAX_TRIES or is_late:
        return Verdict()
    return Verdict(max(DELAYS[tries - 1], outcome.retry_after) * factor)


def has_waited_long(ended_at: float, now: float) -> bool:
    """Return whether a delivery has waited for as long as it may; in seconds since 1970."""
    return now - ended_at > KEPT_SECONDS


def step_of(outcome: Outcome, delay_seconds: float | None, kind: str = "webhook") -> Step:
    """Return the step after a try of a webhook, or of an output."""
    return Step(delay_seconds, has_answered=outcome.done or not outcome.passing, kind=kind)


def of_status(status: int, retry_after: float = 0.0) -> Outcome:
    """Return the outcome for an HTTP status: only 2xx succeeds, and redirects are not followed."""
    if 200 <= status < 300:
        return DONE
    if 300 <= status < 400:
        return Outcome(False, f"The receiver answered with a redirect ({status}).")
    passing = status >= 500 or status in _PASSING
    return Outcome(False, f"The receiver answered {status}.", passing, retry_after)


def of_error(error: Exception) -> Outcome:
    """Return the outcome for an error that the try itself has raised."""
    reason = error.message if isinstance(error, ScriptoriumError) else f"{error!r}"
    # What the cluster's own store refuses is for its operator to mend, not the receiver's fault.
    final = isinstance(error, PermanentError) and not isinstance(error, StoreRefused)
    return Outcome(False, reason, passing=not final)


def retry_after_seconds(headers: Sequence[tuple[bytes, bytes]], now: datetime) -> float:
    """Return the seconds that a Retry-After header asks for, at most LONGEST_RETRY_AFTER.

    The header holds seconds or a date; 0 without a usable header.
    """
    for name, value in headers:
        if name.lower() == b"retry-after":
            return min(max(_seconds(value.decode("latin-1"), now), 0.0), LONGEST_RETRY_AFTER)
    return 0.0


def _seconds(text: str, now: datetime) -> float:
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - now).total_seconds()
        except (ValueError, TypeError):  # TypeError: a date without a time zone
            return 0.0
    return seconds if math.isfinite(seconds) else 0.0

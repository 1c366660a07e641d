"""What follows from an error: try again, test the worker, give up, or end the process. Pure.

permanent         fail at once; but what one worker lacks another may have: as a bug
awaited           a service of the cluster is away or refuses: try again for as long as it lasts;
                  but no transcript waits for a model that it can do without
transient         backoff with jitter, capped in number and delay; then fail
worker's fault    test the worker: unfit, it ends and the unit is not charged; fit, as a bug
poisoned process  end it; the supervisor starts another
out of memory     once more, on another worker if there is one; then fail
any other error   a bug or an unknown fault: it fails when two workers, or one worker
                  TRIES_OF_ONE_WORKER times, have had it
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.errors import (
    DevicePoisoned,
    DiskFull,
    HubTokenMissing,
    LibraryMissing,
    ModelGated,
    ModelNotTrusted,
    ModelUnavailable,
    OutOfMemory,
    PermanentError,
    RetriesExhausted,
    ScriptoriumError,
    TransientError,
    WorkerFault,
)
from gpu_worker.models.faults import TypeUnsupported
from tasks.faults import may_pass

FIRST_DELAY_SECONDS = 1.0
TRIES_OF_ONE_WORKER = 3  # with a suspicious error: the worker may be the cause
LONGEST_DELAY_SECONDS = 60.0  # under the visibility timeout, or Redis delivers it twice

# Of a job that was accepted: a library, a token, a type or a name that this worker has not.
_OF_ONE_WORKER = (LibraryMissing, HubTokenMissing, ModelGated, ModelNotTrusted, TypeUnsupported)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after a delay."""

    delay_seconds: float
    is_charged: bool = True  # it counts as one of the unit's tries
    # The worker waits with it, and takes nothing else into this slot. Else one that lacks a model
    # and fails in a moment would empty the queue before the others, message by message.
    holds_slot: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """Give the unit up with this error."""

    error: ScriptoriumError


@dataclass(frozen=True, slots=True)
class TestWorker:
    """Let the worker test itself, and decide again if it is fit."""

    __test__ = False  # pytest takes it for a class of tests


@dataclass(frozen=True, slots=True)
class EndProcess:
    """End the process: its device can compute no more."""


Decision = Retry | Fail | TestWorker | EndProcess


@dataclass(frozen=True, slots=True)
class Tries:
    """How often the unit was tried before."""

    charged: tuple[str, ...]  # the worker of each try whose failure may be the unit's own
    in_all: int  # with those that waited for a service
    worker: str  # of this try


def decide(
    error: Exception,
    tries: Tries,
    max_retries: int,
    jitter: float,
    *,
    is_fit: bool = False,
    can_be_missing: bool = False,
) -> Decision:
    """Decide what to do after a try that ended in `error`.

    `jitter` in 0..1 spreads equal delays; the caller draws it, so this function stays pure.
    `is_fit`: the worker has tested itself since, and can work. `can_be_missing`: the transcript is
    published without the unit.
    """
    charged = len(tries.charged)
    if isinstance(error, DevicePoisoned):
        return EndProcess()
    if isinstance(error, WorkerFault | DiskFull) and not is_fit:
        return TestWorker()
    if _is_awaited(error) and not (can_be_missing and isinstance(error, ModelUnavailable)):
        return Retry(backoff(tries.in_all, jitter), is_charged=False)
    lacks = isinstance(error, _OF_ONE_WORKER) and not can_be_missing
    if isinstance(error, PermanentError) and not lacks:
        return Fail(error)
    if isinstance(error, TransientError):
        if charged < max_retries:
            return Retry(backoff(charged, jitter))
        message = f"After {charged + 1} tries: {_sentence(error)}"
        return Fail(RetriesExhausted(message, hint=error.advice))
    had_it = {*tries.charged, tries.worker}
    enough = 2 if isinstance(error, OutOfMemory) or len(had_it) > 1 else TRIES_OF_ONE_WORKER
    if charged + 1 < enough:
        return Retry(backoff(charged, jitter))
    if isinstance(error, OutOfMemory | WorkerFault | PermanentError):
        return Fail(error)
    return Fail(ScriptoriumError(f"An unexpected error: {_sentence(error)}"))


def is_suspicious(error: Exception) -> bool:
    """Tell whether no file can be the cause: several in a row are the worker's own."""
    if isinstance(error, ScriptoriumError):
        return isinstance(error, WorkerFault)
    return not may_pass(error)


def backoff(tries: int, jitter: float) -> float:
    """Return the delay in seconds after try `tries`: half to all of a time that doubles."""
    nominal = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(tries, 30))
    return nominal * (0.5 + jitter / 2)


def _is_awaited(error: Exception) -> bool:
    if isinstance(error, ScriptoriumError):
        return error.is_awaited
    return may_pass(error)  # Redis, the broker or the store, in their libraries' words


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]

"""Traces: one a job, and none until an endpoint is set (docs/tracing.md).

A job's place in its trace is written in its manifest, so whoever issues a unit again, the
unit's span is in the job's trace. OpenTelemetry is imported only if there is an endpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, Protocol

import structlog
from celery.signals import worker_process_shutdown, worker_shutdown

from config.settings import Settings
from gpu_worker.errors import LibraryMissing, ScriptoriumError
from tasks.runs.records import Records
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt

FLUSH_SECONDS = 2.0  # no longer does the end of a process wait for a collector that is away
log = structlog.get_logger(__name__)


class Place(Protocol):
    """What a span needs of a workplace. The control plane, which submits, must not load those."""

    @property
    def settings(self) -> Settings: ...
    @property
    def worker(self) -> str: ...
    @property
    def records(self) -> Records: ...


def is_traced(settings: Settings) -> bool:
    """Whether there is an endpoint, and what it takes to reach it."""
    return bool(settings.otlp_endpoint) and _is_installed()


def holds_spans(settings: Settings) -> bool:
    """Whether processes keep spans for a while, as they do for a collector."""
    return is_traced(settings) and str(settings.otlp_endpoint).startswith("http")


def submission_span(
    settings: Settings, tenant: str, job: str
) -> AbstractContextManager[str | None]:
    """The span in which a job is taken in; gives its `traceparent` for the manifest."""
    if not is_traced(settings):
        return nullcontext()
    from tasks.telemetry.tracing import spans

    return spans.submission_span(settings, tenant, job)


def unit_span(
    place: Place, request: Any, unit: Unit
) -> AbstractContextManager[Callable[[Receipt], None]]:
    """The span of one try of a unit; gives a function to be told how the unit ended.

    A job that was taken in without a trace has none. Raises only what the block raises.
    """
    if not is_traced(place.settings):
        return nullcontext(_tell_nobody)
    from tasks.telemetry.tracing import spans

    return spans.unit_span(place, request, unit)


def flush() -> None:
    """Send what this process has not sent yet. Raises nothing and waits FLUSH_SECONDS at most."""
    if (spans := sys.modules.get("tasks.telemetry.tracing.spans")) is not None:
        spans.flush(FLUSH_SECONDS)


def tell_that_traces_are_off(error: Exception) -> None:
    """A line in the log: work goes on without traces."""
    if isinstance(error, ImportError):
        hint = "Install it: pip install 'scriptorium[tracing]'."
        error = LibraryMissing(f"{error}, so there are no traces.", hint=hint)
    hint = error.advice if isinstance(error, ScriptoriumError) else "See docs/tracing.md."
    log.error("traces_off", reason=str(error), hint=hint)


def _tell_nobody(receipt: Receipt) -> None:
    """Nobody asked for traces."""


@lru_cache(maxsize=1)
def _is_installed() -> bool:
    try:
        import tasks.telemetry.tracing.spans  # noqa: F401 - it imports OpenTelemetry
    except ImportError as error:
        tell_that_traces_are_off(error)
        return False
    return True


@worker_process_shutdown.connect
@worker_shutdown.connect
def _flush(**_: Any) -> None:
    flush()

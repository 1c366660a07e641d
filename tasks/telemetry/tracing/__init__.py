"""Traces: one for each job, and none until an endpoint is set (docs/tracing.md).

The manifest holds the job's `traceparent`, so the span of a unit that is issued again is in the
job's trace too. OpenTelemetry is imported only if there is an endpoint.
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

FLUSH_SECONDS = 2.0  # the longest time that a process's end waits for an absent collector
log = structlog.get_logger(__name__)


class TracedWorkplace(Protocol):
    """The three attributes of a Workplace that a span reads.

    A protocol, so that the control plane need not import Workplace and its models.
    """

    @property
    def settings(self) -> Settings: ...
    @property
    def worker(self) -> str: ...
    @property
    def records(self) -> Records: ...


def is_traced(settings: Settings) -> bool:
    """Tell whether there is an endpoint and OpenTelemetry is installed."""
    return bool(settings.otlp_endpoint) and _is_installed()


def holds_spans(settings: Settings) -> bool:
    """Tell whether processes keep spans in memory for a while, as they do for a collector."""
    return is_traced(settings) and str(settings.otlp_endpoint).startswith("http")


def submission_span(
    settings: Settings, tenant: str, job: str
) -> AbstractContextManager[str | None]:
    """Open the span of a job's submission; yields its `traceparent` for the manifest, or None."""
    if not is_traced(settings):
        return nullcontext()
    from tasks.telemetry.tracing import spans

    return spans.submission_span(settings, tenant, job)


def unit_span(
    place: TracedWorkplace, request: Any, unit: Unit
) -> AbstractContextManager[Callable[[Receipt], None]]:
    """Open the span of one try of a unit; yields a function to call with the unit's receipt.

    A job that was submitted without a trace gets no span. Raises only what the block raises.
    """
    if not is_traced(place.settings):
        return nullcontext(_ignore_receipt)
    from tasks.telemetry.tracing import spans

    return spans.unit_span(place, request, unit)


def flush() -> None:
    """Send the spans not sent yet. Raises nothing and waits FLUSH_SECONDS at most."""
    if (spans := sys.modules.get("tasks.telemetry.tracing.spans")) is not None:
        spans.flush(FLUSH_SECONDS)


def tell_that_traces_are_off(error: Exception) -> None:
    """Log that work goes on without traces, and why."""
    if isinstance(error, ImportError):
        hint = "Install it: pip install 'scriptorium[tracing]'."
        error = LibraryMissing(f"{error}, so there are no traces.", hint=hint)
    hint = error.advice if isinstance(error, ScriptoriumError) else "See docs/tracing.md."
    log.error("traces_off", reason=str(error), hint=hint)


def _ignore_receipt(receipt: Receipt) -> None:
    """Do nothing: traces are off."""


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

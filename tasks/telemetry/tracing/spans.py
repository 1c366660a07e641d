"""The spans of a job's trace and their exporter. Imported only if traces are on.

A span holds no secret: only names, ids and numbers of Scriptorium, and codes for errors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from celery.exceptions import Retry, TaskPredicate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode, format_trace_id
from opentelemetry.trace import set_span_in_context as context_with
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from config.settings import Settings
from gpu_worker.errors import InvalidOption, ScriptoriumError
from tasks.broker import SENT_AT
from tasks.faults import code_of
from tasks.runs.stages import Scope
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tasks.telemetry.tracing import TracedWorkplace, tell_that_traces_are_off
from tasks.telemetry.tracing.sampling import OwnRatio
from tasks.telemetry.tracing.span_file import FileExporter

# The attributes of a request's span that are exported. FastAPI also sets the client's address,
# the query and the full path, which may hold secrets.
TOLD = frozenset({"http.request.method", "http.route", "http.response.status_code", "error.type"})
OF_STRANGERS = "api"  # the component whose callers may send any `traceparent`
_OURS = "scriptorium."
_PROPAGATOR = TraceContextTextMapPropagator()
_opened: dict[int, TracerProvider | None] = {}  # by process id: a fork lacks the export thread
_opening = Lock()


@contextmanager
def submission_span(settings: Settings, tenant: str, job: str) -> Iterator[str | None]:
    """Open the submission's span, below the request's span or as the first of a new trace.

    Yields its `traceparent`, or None without a provider.
    """
    provider = open_provider(settings, "submit")
    if provider is None:
        yield None
        return
    span = provider.get_tracer("scriptorium").start_span(
        "submit",
        kind=SpanKind.PRODUCER,
        attributes={f"{_OURS}job": job, f"{_OURS}tenant": tenant},
    )
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context_with(span))
    try:
        yield carrier.get("traceparent")
    except BaseException as error:
        _fail(span, _code(error))
        raise
    finally:
        span.end()


@contextmanager
def unit_span(
    place: TracedWorkplace, request: Any, unit: Unit
) -> Iterator[Callable[[Receipt], None]]:
    """Open the span of one try of a unit, below the span in which its job was submitted.

    Yields a function that takes the unit's receipt and writes its outcome into the span.
    """
    span = _start(place, request, unit)

    def tell(receipt: Receipt) -> None:
        span.set_attribute(f"{_OURS}outcome", receipt.outcome)
        if receipt.audio_seconds:
            span.set_attribute(f"{_OURS}audio_seconds", receipt.audio_seconds)
        if receipt.outcome == "failed":
            _fail(span, str((receipt.detail or {}).get("code")))

    # It is not made the current span: libraries would put spans of their own below it.
    trace = {"trace_id": format_trace_id(span.get_span_context().trace_id)}
    try:
        with structlog.contextvars.bound_contextvars(**trace if span.is_recording() else {}):
            yield tell
    except Retry as retry:
        span.set_attribute(f"{_OURS}outcome", "retried")
        _fail(span, _code(retry.exc))
        raise
    except TaskPredicate:  # the task was replaced by other tasks, as `fan_out` is
        raise
    except BaseException as error:
        _fail(span, _code(error))
        raise
    finally:
        span.end()


def _start(place: TracedWorkplace, request: Any, unit: Unit) -> Span:
    """Start a span; return INVALID_SPAN if the job has no trace or its manifest cannot be read."""
    try:
        manifest = place.records.resolved(unit.run)
    except (ScriptoriumError, ValueError, KeyError):  # the unit itself will report that
        return INVALID_SPAN
    pool = place.settings.worker_pool or unit.stage.pool.value
    provider = open_provider(place.settings, f"worker-{pool}")
    if provider is None or manifest.traceparent is None:
        return INVALID_SPAN
    told: dict[str, Any] = {
        "job": unit.run.job,
        "tenant": unit.run.tenant,
        "run": unit.run.number,
        "stage": unit.stage.value,
        "worker": place.worker,
        "model": manifest.options.model,
        "retries": request.retries,
    }
    scope = unit.stage.definition.scope
    if scope is not Scope.JOB:
        told[scope.value] = unit.index
    sent_at = (request.headers or {}).get(SENT_AT)
    if sent_at is not None and request.eta is None:  # the message of a retry waits on purpose
        told["queue_wait_ms"] = max(0, round((time.time() - sent_at) * 1000))
    return provider.get_tracer("scriptorium").start_span(
        unit.stage.value,
        context=_PROPAGATOR.extract({"traceparent": manifest.traceparent}),
        kind=SpanKind.CONSUMER,
        attributes={f"{_OURS}{name}": value for name, value in told.items()},
    )


def _fail(span: Span, code: str) -> None:
    """Mark the span as failed with the code alone: an error's message may hold users' text."""
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR, code))


def _code(error: object) -> str:
    return code_of(error) if isinstance(error, Exception) else type(error).__name__


def open_provider(settings: Settings, component: str) -> TracerProvider | None:
    """Return this process's provider, made at its first span; None if it cannot be made."""
    with _opening:
        process = os.getpid()
        if process not in _opened:
            try:
                _opened[process] = _open(settings.otlp_endpoint or "", component)
            except Exception as error:  # any error: work goes on without traces
                tell_that_traces_are_off(error)
                _opened[process] = None
        return _opened[process]


def flush(seconds: float) -> None:
    """Send the spans that this process has not sent yet; wait at most `seconds`."""
    provider = _opened.get(os.getpid())
    if provider is not None:
        flushing = Thread(target=provider.force_flush, name="flush-spans", daemon=True)
        flushing.start()
        flushing.join(seconds)


def _open(endpoint: str, component: str) -> TracerProvider:
    resource = Resource.create()  # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: f"scriptorium-{component}"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if component == OF_STRANGERS:
        provider.sampler = OwnRatio(provider.sampler)
    provider.add_span_processor(_processor(endpoint))
    return provider


def _processor(endpoint: str) -> SpanProcessor:
    """Return the processor for an endpoint. Raises InvalidOption for an unknown scheme.

    `file:///path` is written at each span's end, so that a kill loses none; http and https
    send batches to a collector, configured by the OTEL_* environment variables.
    """
    url = urlsplit(endpoint)
    if url.scheme == "file" and not url.netloc and url.path:
        return SimpleSpanProcessor(AllowlistExporter(FileExporter(Path(unquote(url.path)))))
    if url.scheme in ("http", "https"):
        return BatchSpanProcessor(AllowlistExporter(OTLPSpanExporter()))
    raise InvalidOption(
        f"Traces cannot be sent to {endpoint!r}.",
        hint="Set OTEL_EXPORTER_OTLP_ENDPOINT to http://host:4318, https://… or file:///path.",
    )


class AllowlistExporter(SpanExporter):
    """Passes spans on without the attributes, events and status texts that are not ours.

    Attributes pass if they are in TOLD, or begin with `scriptorium.` in a span of our own.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export copies of the spans that hold only what is allowed."""
        return self._exporter.export([_told(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the wrapped exporter down."""
        self._exporter.shutdown()


def _told(span: ReadableSpan) -> ReadableSpan:
    scope = span.instrumentation_scope
    is_ours = scope is not None and scope.name == "scriptorium"
    attributes = span.attributes or {}
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={
            name: value
            for name, value in attributes.items()
            if name in TOLD or (is_ours and name.startswith(_OURS))
        },
        kind=span.kind,
        status=span.status if is_ours else Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=scope,
    )

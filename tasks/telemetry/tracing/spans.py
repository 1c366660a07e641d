"""What is told of a job in its trace, and where it goes. Imported only if traces are on.

Nothing of a span is anybody's secret: names, ids and numbers of ours, and codes for errors.
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
from tasks.telemetry.tracing import Place, tell_that_traces_are_off
from tasks.telemetry.tracing.span_file import FileExporter

# Of a request. FastAPI would tell its address, its query and its path as they are.
TOLD = frozenset({"http.request.method", "http.route", "http.response.status_code", "error.type"})
_OURS = "scriptorium."
_PROPAGATOR = TraceContextTextMapPropagator()
_opened: dict[int, TracerProvider | None] = {}  # by process: a fork has no thread that exports
_opening = Lock()


@contextmanager
def submission_span(settings: Settings, tenant: str, job: str) -> Iterator[str | None]:
    """Below the request's span if there is one, else the first of a new trace."""
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
def unit_span(place: Place, request: Any, unit: Unit) -> Iterator[Callable[[Receipt], None]]:
    """One try of a unit, below the span in which its job was submitted."""
    span = _start(place, request, unit)

    def tell(receipt: Receipt) -> None:
        span.set_attribute(f"{_OURS}outcome", receipt.outcome)
        if receipt.audio_seconds:
            span.set_attribute(f"{_OURS}audio_seconds", receipt.audio_seconds)
        if receipt.outcome == "failed":
            _fail(span, str((receipt.detail or {}).get("code")))

    # It is not the current span: what libraries would hang below it is not ours to tell.
    trace = {"trace_id": format_trace_id(span.get_span_context().trace_id)}
    try:
        with structlog.contextvars.bound_contextvars(**trace if span.is_recording() else {}):
            yield tell
    except Retry as retry:
        span.set_attribute(f"{_OURS}outcome", "retried")
        _fail(span, _code(retry.exc))
        raise
    except TaskPredicate:  # it was replaced by other tasks, as `fan_out` is
        raise
    except BaseException as error:
        _fail(span, _code(error))
        raise
    finally:
        span.end()


def _start(place: Place, request: Any, unit: Unit) -> Span:
    """A span that is not recorded if the job has no trace, or if its manifest cannot be had."""
    try:
        manifest = place.records.resolved(unit.run)
    except (ScriptoriumError, ValueError, KeyError):  # the unit itself will find that out
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
    if sent_at is not None and request.eta is None:  # a retry's message is meant to wait
        told["queue_wait_ms"] = max(0, round((time.time() - sent_at) * 1000))
    return provider.get_tracer("scriptorium").start_span(
        unit.stage.value,
        context=_PROPAGATOR.extract({"traceparent": manifest.traceparent}),
        kind=SpanKind.CONSUMER,
        attributes={f"{_OURS}{name}": value for name, value in told.items()},
    )


def _fail(span: Span, code: str) -> None:
    """The code alone: the message is in the log, and may hold what others wrote."""
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR, code))


def _code(error: object) -> str:
    return code_of(error) if isinstance(error, Exception) else type(error).__name__


def open_provider(settings: Settings, component: str) -> TracerProvider | None:
    """This process's provider, made at its first span; None if it cannot be made."""
    with _opening:
        process = os.getpid()
        if process not in _opened:
            try:
                _opened[process] = _open(settings.otlp_endpoint or "", component)
            except Exception as error:  # of whatever kind: work goes on without traces
                tell_that_traces_are_off(error)
                _opened[process] = None
        return _opened[process]


def flush(seconds: float) -> None:
    """Send what this process has not sent yet, but wait no longer than this."""
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
    provider.add_span_processor(_processor(endpoint))
    return provider


def _processor(endpoint: str) -> SpanProcessor:
    """To a file at once, so that a kill loses none; else to a collector, as OTEL_* say."""
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
    """Passes on what we chose to tell, whatever a library has put into its spans."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Without events, and without attributes and descriptions that are not ours."""
        return self._exporter.export([_told(span) for span in spans])

    def shutdown(self) -> None:
        """Let the connection go."""
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

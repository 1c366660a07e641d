"""A span for each request that changes something, if traces are on.

It is the first of the trace of the job that it submits.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

from config.settings import Settings
from tasks.telemetry.tracing import is_traced


def request_traces(settings: Settings) -> TelemetryConfig:
    """What FastAPI is to tell: spans to our provider alone. A caller's `traceparent` is followed.

    Of a request only its route and its status are passed on (tasks/telemetry/tracing/spans.py).
    """
    config: TelemetryConfig = {
        "tracing": False,
        "metrics": False,  # they are Prometheus's
        "logs": False,  # they would hold exceptions and what was wrong with a body
        "operation_spans": False,
        "auto_configure": False,
        "exclude": _is_reading,
    }
    if is_traced(settings):
        from tasks.telemetry.tracing.spans import open_provider

        if (provider := open_provider(settings, "api")) is not None:
            config |= {"tracing": True, "tracer_provider": provider}
    return config


def _is_reading(scope: MutableMapping[str, Any]) -> bool:
    """Probes, pollers and event streams would bury the jobs."""
    return scope.get("method") in ("GET", "HEAD", "OPTIONS")

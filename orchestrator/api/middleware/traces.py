"""Configure FastAPI's spans: one for each request that changes something, if traces are on.

The span of a submission is the first one in its job's trace.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

from config.settings import Settings
from tasks.telemetry.tracing import is_traced


def request_traces(settings: Settings) -> TelemetryConfig:
    """Return FastAPI's telemetry settings: spans go to our provider, all else is off.

    A caller's `traceparent` is continued. Only a request's method, route, status and error type
    are exported (TOLD in tasks/telemetry/tracing/spans.py).
    """
    config: TelemetryConfig = {
        "tracing": False,
        "metrics": False,  # Prometheus has them
        "logs": False,  # they would contain exceptions and parts of bodies
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
    """Tell whether a request only reads: spans of probes and polling would hide those of jobs."""
    return scope.get("method") in ("GET", "HEAD", "OPTIONS")

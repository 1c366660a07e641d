"""Spans in a file, for use without a collector: OTLP's JSON, one export request a line.

The format of the OpenTelemetry collector's file exporter:
https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_IDS = ("traceId", "spanId", "parentSpanId")


class FileExporter(SpanExporter):
    """Appends to a file that any number of processes may share."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append one line in one write: lines of several processes do not mix. Raises OSError."""
        line = otlp_line(encode_spans(spans))
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line)
        finally:
            os.close(file)
        return SpanExportResult.SUCCESS


def otlp_line(request: ExportTraceServiceRequest) -> bytes:
    """Encode a request as a line of OTLP's JSON.

    It differs from protobuf's JSON: ids are hexadecimal and enums are numbers.
    """
    data = MessageToDict(request, use_integers_for_enums=True)
    for span in _spans(data):
        for part in (span, *span.get("links", ())):
            for name in part.keys() & _IDS:
                part[name] = base64.b64decode(part[name]).hex()
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _spans(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in request.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            yield from scope.get("spans", ())

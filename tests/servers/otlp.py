"""Spans as a collector gets them: read back from lines of OTLP's JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Told:
    """One span."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str  # empty: the first of its trace
    attributes: dict[str, Any]
    error: str | None  # the description of its status, if that is an error

    @property
    def unit(self) -> tuple[str, int | None]:
        """Its stage and the index of its chunk or shard."""
        index = self.attributes.get("scriptorium.chunk", self.attributes.get("scriptorium.shard"))
        return self.name, index


def read_spans(path: Path) -> list[Told]:
    """Every span of a file; none if there is no file yet."""
    if not path.exists():
        return []
    return [
        _span(_attributes(resource["resource"])["service.name"], span)
        for line in path.read_text().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _span(service: str, span: dict[str, Any]) -> Told:
    status = span.get("status", {})
    is_error = status.get("code") == 2  # STATUS_CODE_ERROR
    return Told(
        service=service,
        name=span["name"],
        trace_id=span["traceId"],
        span_id=span["spanId"],
        parent_id=span.get("parentSpanId", ""),
        attributes=_attributes(span),
        error=status.get("message", "") if is_error else None,
    )


def _attributes(part: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: _value(item["value"]) for item in part.get("attributes", ())}


def _value(typed: dict[str, Any]) -> Any:
    ((kind, value),) = typed.items()
    return int(value) if kind == "intValue" else value

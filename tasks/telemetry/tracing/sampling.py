"""Decide which requests are traced by our own ratio, whatever their callers say.

A caller's `traceparent` is followed, so that our spans are in its trace. Its `sampled` flag, and a
trace id that a ratio would take, must not make the API export more spans than the operator's
OTEL_TRACES_SAMPLER allows.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

_IDS = RandomIdGenerator()


class OwnRatio(Sampler):
    """Asks another sampler as if a span with a parent in another process were the first of a trace.

    Only for a process whose callers are strangers: the parent of a worker's span is our own.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the other sampler's decision; for a stranger's trace by a random id of ours."""
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid and parent.is_remote:
            parent_context, trace_id = Context(), _IDS.generate_trace_id()
        return self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Return the sampler's name."""
        return f"OwnRatio{{{self._sampler.get_description()}}}"

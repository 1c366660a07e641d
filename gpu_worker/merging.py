"""The chunks' segments as one transcript, with what is missing named.

Chunks do not overlap, so merging is concatenation in order; nothing is guessed at
the seams. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpu_worker.transcript import Notice, Segment, Transcript


@dataclass(frozen=True, slots=True)
class MissingSpan:
    """A span of the file whose text could not be had, and why."""

    start: float
    end: float
    code: str
    message: str


def merge_chunks(
    chunks: Sequence[Iterable[Segment]],
    *,
    language: str | None,
    duration: float,
    missing: Sequence[MissingSpan] = (),
    warnings: Sequence[Notice] = (),
) -> Transcript:
    """One transcript of all chunks, given in the order of the file."""
    segments = tuple(segment for chunk in chunks for segment in chunk)
    found = [*warnings, *(_missing_notice(span) for span in missing)]
    if not segments and not missing:
        found.append(Notice("no_speech", "No speech was found in the audio.", 0.0, duration))
    return Transcript(
        language=language if segments else None,
        duration=duration,
        segments=segments,
        warnings=tuple(found),
    )


def _missing_notice(span: MissingSpan) -> Notice:
    return Notice(
        code="missing_span",
        message=f"This span was not transcribed ({span.code}): {span.message}",
        start=span.start,
        end=span.end,
    )

"""The chunks' segments as one transcript, with what is missing named.

Chunks do not overlap, so merging is concatenation in order; nothing is guessed at
the seams. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gpu_worker.diarization import Diarization
from gpu_worker.speakers import assign_speakers
from gpu_worker.transcript import Notice, Segment, Transcript, Turn


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
    diarization: Diarization | None = None,
    turns: Sequence[Turn] = (),
    with_words: bool = True,
) -> Transcript:
    """One transcript of all chunks, given in the order of the file.

    `turns` are of segments that have their speakers already; a diarization gives its own.
    """
    segments = tuple(segment for chunk in chunks for segment in chunk)
    if diarization is not None:
        segments = assign_speakers(segments, diarization.turns, diarization.exclusive)
    if not with_words:
        segments = tuple(replace(segment, words=()) for segment in segments)
    found = [*warnings, *(_missing_notice(span) for span in missing)]
    if not segments and not missing:
        found.append(Notice("no_speech", "No speech was found in the audio.", 0.0, duration))
    return Transcript(
        language=language if segments else None,
        duration=duration,
        segments=segments,
        warnings=tuple(found),
        turns=diarization.turns if diarization else tuple(turns),
    )


def _missing_notice(span: MissingSpan) -> Notice:
    return Notice(
        code="missing_span",
        message=f"This span was not transcribed ({span.code}): {span.message}",
        start=span.start,
        end=span.end,
    )

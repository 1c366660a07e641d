"""Flag the segments of a transcript, and list where to listen, the most doubtful first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gpu_worker.doubt import thresholds
from gpu_worker.doubt.signs import Surroundings, flags_of
from gpu_worker.transcript import Flag, Review, Segment, TranscriptWarning

# What a warning about a span says of it.
_WITHOUT_TEXT = {
    "speech_without_words": (thresholds.NO_TEXT, thresholds.NO_TEXT_DOUBT),
    "speech_without_text": (thresholds.NO_TEXT, thresholds.NO_TEXT_DOUBT),
    "invented_text": (thresholds.LEFT_OUT, thresholds.LEFT_OUT_DOUBT),
    "missing_span": (thresholds.MISSING, thresholds.MISSING_DOUBT),
}


def flagged(segments: Iterable[Segment], around: Surroundings) -> tuple[Segment, ...]:
    """Return the segments with their flags; flags that they have already are kept."""
    return tuple(
        replace(segment, flags=_worst_first((*segment.flags, *found)))
        if (found := flags_of(segment, around))
        else segment
        for segment in segments
    )


def review(
    segments: Sequence[Segment], warnings: Iterable[TranscriptWarning]
) -> tuple[Review, ...]:
    """List the flagged segments, and the spans that warnings say have no text, worst first."""
    spans = [
        Review(
            segment.start,
            segment.end,
            combined(segment.flags),
            tuple(flag.code for flag in segment.flags),
            number,
        )
        for number, segment in enumerate(segments)
        if segment.flags
    ]
    for warning in warnings:
        if warning.code in _WITHOUT_TEXT and warning.start is not None and warning.end is not None:
            code, doubt = _WITHOUT_TEXT[warning.code]
            spans.append(Review(warning.start, warning.end, doubt, (code,)))
    return tuple(sorted(spans, key=lambda span: (-span.doubt, span.start)))


def combined(flags: Iterable[Flag]) -> float:
    """Return the doubt of all flags together: that not each of them is a false alarm."""
    trust = 1.0
    for flag in flags:
        trust *= 1.0 - flag.doubt
    return round(1.0 - trust, 3)


def _worst_first(flags: Iterable[Flag]) -> tuple[Flag, ...]:
    return tuple(sorted(dict.fromkeys(flags), key=lambda flag: -flag.doubt))

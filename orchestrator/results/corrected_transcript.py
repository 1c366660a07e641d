"""Show a published transcript with what people have said of its lines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gpu_worker.assembly.corrected_line import confirmed, corrected
from gpu_worker.transcript import segment_to_json, segments_from_json
from gpu_worker.words import join_texts
from orchestrator.results.corrections import Action, Corrections, LineCorrection

Segment = Mapping[str, Any]


def with_corrections(transcript: Mapping[str, Any], said: Corrections) -> dict[str, Any]:
    """Return a transcript with corrected texts, without refused lines and settled doubts.

    Turns stay: a refused line does not say that no voice is heard.
    """
    if not said.standing:
        return dict(transcript)
    lines = {
        at: corrected_segment(segment, said.standing.get(at))
        for at, segment in enumerate(transcript["segments"])
    }
    kept = [at for at, line in lines.items() if line is not None]
    segments = [line for at in kept if (line := lines[at]) is not None]
    counts = Counter(str(line.action) for line in said.standing.values())
    return {
        **transcript,
        "text": join_texts(segment["text"] for segment in segments),
        "segments": segments,
        "word_segments": [word for segment in segments for word in segment.get("words", ())],
        "review": _open_places(transcript.get("review", ()), said, kept),
        "corrections": {"version": said.version, **counts},
    }


def corrected_segment(segment: Segment, line: LineCorrection | None) -> dict[str, Any] | None:
    """Return a segment as a correction makes it; None if it is refused."""
    if line is None or line.action is Action.NONE:
        return dict(segment)
    if line.action is Action.REFUSED:
        return None
    (parsed,) = segments_from_json([segment])
    return segment_to_json(confirmed(parsed) if line.text is None else corrected(parsed, line.text))


def _open_places(
    review: Sequence[Mapping[str, Any]], said: Corrections, kept: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the places that no correction has settled, with the new places of their segments."""
    places = {at: new for new, at in enumerate(kept)}
    return [
        {**span, "segment": places[span["segment"]]} if "segment" in span else dict(span)
        for span in review
        if span.get("segment") not in said.standing
    ]

"""The shape of corrections in replies: each line with its words, and what the models wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.results.corrected_transcript import corrected_segment
from orchestrator.results.corrections import Action, Corrections, LineCorrection


class CorrectedLine(BaseModel):
    """What a person has said of one line."""

    segment: int = Field(description="Its place in `segments` of the models' transcript.")
    start: float
    end: float
    action: Action
    text: str | None = Field(description="What is said; null: nothing is.")
    words: list[dict[str, Any]] = Field(description="The words of that text, with their times.")
    machine_text: str = Field(description="What the models wrote.")
    by: str = Field(description="The name of the API key that it came with.")
    at: float = Field(description="Seconds since 1970.")
    version: int = Field(description="That changed this line.")


class CorrectionsReply(BaseModel):
    """What people have said of a transcript's lines."""

    model_config = ConfigDict(title="Corrections")

    object: Literal["corrections"]
    job: str
    run: int = Field(description="Of the transcript that they belong to.")
    version: int = Field(description="The last change; 0: none.")
    lines: list[CorrectedLine] = Field(description="Without those that were put back.")
    other_runs: list[int] = Field(description="Whose corrections do not apply to this transcript.")


def reply_of(job: str, said: Corrections, transcript: Mapping[str, Any]) -> CorrectionsReply:
    """Make the reply; `transcript` is the run's, as the models wrote it."""
    segments = transcript["segments"]
    lines = [
        _line(at, line, segments[at]) for at, line in said.standing.items() if at < len(segments)
    ]
    return CorrectionsReply(
        object="corrections",
        job=job,
        run=said.run,
        version=said.version,
        lines=lines,
        other_runs=list(said.other_runs),
    )


def _line(at: int, line: LineCorrection, segment: Mapping[str, Any]) -> CorrectedLine:
    shown = corrected_segment(segment, line) or {}
    return CorrectedLine(
        segment=at,
        start=segment["start"],
        end=segment["end"],
        action=line.action,
        text=shown.get("text"),
        words=shown.get("words", []),
        machine_text=segment["text"],
        by=line.by,
        at=line.at,
        version=line.version,
    )

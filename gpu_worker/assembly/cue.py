"""A cue: a piece of a subtitle that is shown at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cue:
    """One text on the screen. Cleaned, never empty, `start_ms < end_ms`."""

    start_ms: int
    end_ms: int
    text: str  # lines are separated by a newline
    speaker: str | None = None
    mark: tuple[int, int] | None = None  # the part of the text that is being spoken
    language: str | None = None  # None: the transcript's

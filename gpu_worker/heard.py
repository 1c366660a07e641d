"""The text of one chunk, as `transcribe` and `align` keep it: windows of speech with segments.

All times are float seconds from the start of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcript import (
    Segment,
    TranscriptWarning,
    segment_to_json,
    segments_from_json,
    warning_to_json,
    warnings_from_json,
)


@dataclass(frozen=True, slots=True)
class HeardWindow:
    """The text of one window: its spans of speech and the segments that were heard in them."""

    spans: tuple[Span, ...]  # of speech, in the file
    segments: tuple[Segment, ...]
    levels: tuple[tuple[int, ...], ...] = ()  # of each span's frames, `frame_levels`

    def to_json(self) -> dict[str, Any]:
        """Return the window as artifacts hold it."""
        return {
            "spans": [list(span) for span in self.spans],
            "segments": [segment_to_json(segment) for segment in self.segments],
            "levels": [list(levels) for levels in self.levels],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> HeardWindow:
        """Make it from the result of `to_json`."""
        return cls(
            tuple(Span(*span) for span in data["spans"]),
            segments_from_json(data["segments"]),
            tuple(tuple(levels) for levels in data.get("levels", ())),
        )


@dataclass(frozen=True, slots=True)
class ChunkTranscript:
    """The text of one chunk: its windows in order, and the warnings about it."""

    windows: tuple[HeardWindow, ...]
    warnings: tuple[TranscriptWarning, ...] = ()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of all windows, in order."""
        return tuple(segment for window in self.windows for segment in window.segments)

    @property
    def speech_seconds(self) -> float:
        """Seconds of speech that were found, with or without text."""
        return sum(span.samples for window in self.windows for span in window.spans) / SAMPLE_RATE

    def to_json(self) -> dict[str, Any]:
        """Return the chunk's text as its artifact holds it."""
        return {
            "windows": [window.to_json() for window in self.windows],
            "warnings": [warning_to_json(warning) for warning in self.warnings],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ChunkTranscript:
        """Make it from the result of `to_json`."""
        return cls(
            tuple(HeardWindow.from_json(window) for window in data["windows"]),
            warnings_from_json(data.get("warnings", ())),
        )

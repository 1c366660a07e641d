"""What was heard in a chunk, window by window: the data that the stages pass on.

Knows nothing of how it was heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpu_worker.transcript import (
    SAMPLE_RATE,
    Notice,
    Segment,
    notice_to_json,
    segment_to_json,
    segments_from_json,
)


@dataclass(frozen=True, slots=True)
class HeardWindow:
    """What was said in one window."""

    spans: tuple[tuple[int, int], ...]  # of speech, in samples of the file
    segments: tuple[Segment, ...]
    levels: tuple[tuple[int, ...], ...] = ()  # of each span's frames, `frame_levels`

    def to_json(self) -> dict[str, Any]:
        """As an artifact holds it."""
        return {
            "spans": [list(span) for span in self.spans],
            "segments": [segment_to_json(segment) for segment in self.segments],
            "levels": [list(levels) for levels in self.levels],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> HeardWindow:
        """The inverse of `to_json`."""
        return cls(
            tuple((start, end) for start, end in data["spans"]),
            segments_from_json(data["segments"]),
            tuple(tuple(levels) for levels in data.get("levels", ())),
        )


@dataclass(frozen=True, slots=True)
class ChunkTranscript:
    """What was said in one chunk."""

    windows: tuple[HeardWindow, ...]
    warnings: tuple[Notice, ...] = ()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Those of all windows, in order."""
        return tuple(segment for window in self.windows for segment in window.segments)

    @property
    def speech_seconds(self) -> float:
        """How much speech was found, whether it became text or not."""
        samples = sum(end - start for window in self.windows for start, end in window.spans)
        return samples / SAMPLE_RATE

    def to_json(self) -> dict[str, Any]:
        """As the chunk's artifact holds it."""
        return {
            "windows": [window.to_json() for window in self.windows],
            "warnings": [notice_to_json(notice) for notice in self.warnings],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ChunkTranscript:
        """The inverse of `to_json`."""
        return cls(
            tuple(HeardWindow.from_json(window) for window in data["windows"]),
            tuple(Notice(**warning) for warning in data.get("warnings", ())),
        )

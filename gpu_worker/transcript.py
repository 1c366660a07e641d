"""The data that stages pass on: words, segments, turns, warnings and transcripts.

All times are float seconds from the start of the file. Nothing here knows how
the words were found or where they will be stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from gpu_worker.pcm import SAMPLE_RATE, Span


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word."""

    word: str  # as it stands in its segment's text, without surrounding spaces
    start: float
    end: float
    score: float  # probability in 0..1
    speaker: str | None = None  # SPEAKER_00, or a known speaker's name
    interpolated: bool = False  # the time is a guess between its neighbours


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech that is read as one line.

    Its words, if it has any, are all of its text but the white space between them.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    avg_logprob: float = 0.0  # mean log probability a token, of the window it came from
    no_speech_prob: float = 0.0
    compression_ratio: float = 0.0  # of the window's text; high means it repeats itself
    temperature: float = 0.0  # at which the window was decoded
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one speaker is heard; turns of several may overlap."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class TranscriptWarning:
    """A warning for the transcript's reader: what is missing or was done otherwise."""

    code: str
    message: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole file's text."""

    language: str | None  # None: no speech was found
    duration: float  # seconds of audio
    segments: tuple[Segment, ...] = ()
    warnings: tuple[TranscriptWarning, ...] = ()
    turns: tuple[Turn, ...] = ()  # of all speakers; empty if no diarization was asked for

    @property
    def text(self) -> str:
        """All segments' text as one line."""
        from gpu_worker.words import join_texts  # late: the decoder's child needs no text

        return join_texts(segment.text for segment in self.segments)

    @property
    def words(self) -> tuple[Word, ...]:
        """Every word in order."""
        return tuple(word for segment in self.segments for word in segment.words)


_WARNING_FIELDS = tuple(field.name for field in fields(TranscriptWarning))
_TURN_FIELDS = tuple(field.name for field in fields(Turn))
_WORD_FIELDS = tuple(field.name for field in fields(Word) if field.name != "interpolated")
_SEGMENT_FIELDS = tuple(field.name for field in fields(Segment) if field.name != "words")


def transcript_to_json(transcript: Transcript) -> dict[str, Any]:
    """Return the transcript in whisperX's shape: `segments[].words[]`, `word_segments`, …"""
    return {
        "language": transcript.language,
        "duration": transcript.duration,
        "text": transcript.text,
        "segments": [segment_to_json(segment) for segment in transcript.segments],
        "word_segments": [_word_to_json(word) for word in transcript.words],
        "turns": [_present(turn, _TURN_FIELDS) for turn in transcript.turns],
        "warnings": [warning_to_json(warning) for warning in transcript.warnings],
    }


def transcript_from_json(data: Mapping[str, Any]) -> Transcript:
    """Make a transcript from the result of `transcript_to_json`."""
    return Transcript(
        language=data["language"],
        duration=data["duration"],
        segments=segments_from_json(data["segments"]),
        warnings=tuple(TranscriptWarning(**warning) for warning in data.get("warnings", ())),
        turns=tuple(Turn(**turn) for turn in data.get("turns", ())),
    )


def warning_to_json(warning: TranscriptWarning) -> dict[str, Any]:
    """Return one warning as JSON; leave out times that are None."""
    return _present(warning, _WARNING_FIELDS)


def segment_to_json(segment: Segment) -> dict[str, Any]:
    """Return one segment as JSON; leave out a speaker that is None."""
    words = [_word_to_json(word) for word in segment.words]
    return _present(segment, _SEGMENT_FIELDS) | {"words": words}


def segments_from_json(data: Iterable[Mapping[str, Any]]) -> tuple[Segment, ...]:
    """Make segments from a list of results of `segment_to_json`."""
    return tuple(
        Segment(**{**item, "words": tuple(Word(**word) for word in item.get("words", ()))})
        for item in data
    )


def _word_to_json(word: Word) -> dict[str, Any]:
    flag = {"interpolated": True} if word.interpolated else {}
    return _present(word, _WORD_FIELDS) | flag


def _present(
    record: Word | Segment | Turn | TranscriptWarning, names: tuple[str, ...]
) -> dict[str, Any]:
    # By hand: `dataclasses.asdict` takes seconds for the hundred thousand words of ten hours.
    return {name: value for name in names if (value := getattr(record, name)) is not None}


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
            tuple(TranscriptWarning(**warning) for warning in data.get("warnings", ())),
        )

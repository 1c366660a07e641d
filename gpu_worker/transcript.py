"""The data that stages pass on: words, segments, turns, warnings and transcripts.

All times are float seconds from the start of the file. Nothing here knows how
the words were found or where they will be stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word."""

    word: str  # as it stands in its segment's text, without surrounding spaces
    start: float
    end: float
    score: float  # probability in 0..1
    speaker: str | None = None  # SPEAKER_00, or a known speaker's name
    interpolated: bool = False  # the time is a guess between its neighbours
    doubt: float | None = None  # how likely the engine wrote it wrong; None: it seems right
    spoken: str | None = None  # what was heard, where another text is written; "": see before it


@dataclass(frozen=True, slots=True)
class Flag:
    """A reason to doubt a segment's text."""

    code: str  # one of `gpu_worker/doubt/thresholds.py`
    doubt: float  # 0..1: how likely the text is wrong by this sign alone
    message: str  # what was seen, for people


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another text of the same sound, that was not taken."""

    text: str
    by: str  # how it was decoded: greedy, beam, no_repeat, split, sampled, or a model's name
    avg_logprob: float


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
    language: str | None = None  # None: the transcript's
    flags: tuple[Flag, ...] = ()  # reasons to doubt it, worst first
    alternatives: tuple[Alternative, ...] = ()
    spoken: str | None = None  # its text as it was heard, where another one is written


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
class Review:
    """A span of the file to listen to, because its text may be wrong or is not there."""

    start: float
    end: float
    doubt: float  # 0..1
    codes: tuple[str, ...]  # of its flags, worst first
    segment: int | None = None  # its place among the segments; None: a span without text


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole file's text."""

    language: str | None  # None: no speech was found
    duration: float  # seconds of audio
    segments: tuple[Segment, ...] = ()
    warnings: tuple[TranscriptWarning, ...] = ()
    turns: tuple[Turn, ...] = ()  # of all speakers; empty if no diarization was asked for
    review: tuple[Review, ...] = ()  # where to listen, worst first

    @property
    def text(self) -> str:
        """All segments' text as one line."""
        from gpu_worker.words import join_texts  # late: the decoder's child needs no text

        return join_texts(segment.text for segment in self.segments)

    @property
    def words(self) -> tuple[Word, ...]:
        """Every word in order."""
        return tuple(word for segment in self.segments for word in segment.words)


_Kind = TypeVar("_Kind", Word, Flag, Alternative, Segment, Turn, TranscriptWarning, Review)
_WARNING_FIELDS = tuple(field.name for field in fields(TranscriptWarning))
_TURN_FIELDS = tuple(field.name for field in fields(Turn))
_WORD_FIELDS = tuple(field.name for field in fields(Word) if field.name != "interpolated")
_FLAG_FIELDS = tuple(field.name for field in fields(Flag))
_ALTERNATIVE_FIELDS = tuple(field.name for field in fields(Alternative))
_REVIEW_FIELDS = tuple(field.name for field in fields(Review) if field.name != "codes")
_NESTED = frozenset({"words", "flags", "alternatives"})
_SEGMENT_FIELDS = tuple(field.name for field in fields(Segment) if field.name not in _NESTED)


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
        "review": [
            _present(span, _REVIEW_FIELDS) | {"codes": list(span.codes)}
            for span in transcript.review
        ],
    }


def transcript_from_json(data: Mapping[str, Any]) -> Transcript:
    """Make a transcript from the result of `transcript_to_json`."""
    return Transcript(
        language=data["language"],
        duration=data["duration"],
        segments=segments_from_json(data["segments"]),
        warnings=warnings_from_json(data.get("warnings", ())),
        turns=tuple(_made(Turn, turn) for turn in data.get("turns", ())),
        review=tuple(
            _made(Review, {**span, "codes": tuple(span["codes"])})
            for span in data.get("review", ())
        ),
    )


def warning_to_json(warning: TranscriptWarning) -> dict[str, Any]:
    """Return one warning as JSON; leave out times that are None."""
    return _present(warning, _WARNING_FIELDS)


def warnings_from_json(data: Iterable[Mapping[str, Any]]) -> tuple[TranscriptWarning, ...]:
    """Make warnings from a list of results of `warning_to_json`."""
    return tuple(_made(TranscriptWarning, warning) for warning in data)


def segment_to_json(segment: Segment) -> dict[str, Any]:
    """Return one segment as JSON; leave out what is None, and flags and alternatives if none."""
    data = _present(segment, _SEGMENT_FIELDS)
    data["words"] = [_word_to_json(word) for word in segment.words]
    if segment.flags:
        data["flags"] = [_present(flag, _FLAG_FIELDS) for flag in segment.flags]
    if segment.alternatives:
        data["alternatives"] = [
            _present(other, _ALTERNATIVE_FIELDS) for other in segment.alternatives
        ]
    return data


def segments_from_json(data: Iterable[Mapping[str, Any]]) -> tuple[Segment, ...]:
    """Make segments from a list of results of `segment_to_json`."""
    return tuple(
        _made(
            Segment,
            {
                **item,
                "words": tuple(_made(Word, word) for word in item.get("words", ())),
                "flags": tuple(_made(Flag, flag) for flag in item.get("flags", ())),
                "alternatives": tuple(
                    _made(Alternative, other) for other in item.get("alternatives", ())
                ),
            },
        )
        for item in data
    )


def _made(kind: type[_Kind], data: Mapping[str, Any]) -> _Kind:
    """Make a record of these fields; those of a later release are ignored."""
    try:
        return kind(**data)
    except TypeError:
        known = {field.name for field in fields(kind)}
        return kind(**{name: value for name, value in data.items() if name in known})


def _word_to_json(word: Word) -> dict[str, Any]:
    flag = {"interpolated": True} if word.interpolated else {}
    return _present(word, _WORD_FIELDS) | flag


def _present(
    record: Word | Segment | Turn | TranscriptWarning | Flag | Alternative | Review,
    names: tuple[str, ...],
) -> dict[str, Any]:
    # By hand: `dataclasses.asdict` takes seconds for the hundred thousand words of ten hours.
    return {name: value for name in names if (value := getattr(record, name)) is not None}

"""Cues: a transcript cut into the pieces that are shown on a screen one after another.

The options are those of openai/whisper and whisperX and mean the same. Text is cleaned
here, so that no word can pass for a time line, a tag or a second cue, and times are
clamped, so that every cue ends after it starts and none starts before the one it
follows. How a cue is written is not known here: that is `gpu_worker/formats.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import chain, pairwise

from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Segment, Transcript

LONG_PAUSE_MS = 3_000  # between the starts of two words; openai/whisper breaks a cue there
LATEST_MS = 9_999 * 3_600_000  # later times are taken for this one: no reader takes them

_ARROW = re.compile(r"-{2,}>")
# Control characters that are no white space, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class SubtitleOptions:
    """How cues are cut; None leaves one cue a segment on one line.

    Raises `InvalidOption` for a number under 1.
    """

    max_line_width: int | None = None  # characters; a longer word gets a line of its own
    max_line_count: int | None = None  # with a width given, cues ignore segments
    max_words_per_line: int | None = None  # a cue; no effect when both of the above are given
    highlight_words: bool = False  # a cue a word, underlined as it is spoken

    def __post_init__(self) -> None:
        for field in fields(self)[:3]:
            value = getattr(self, field.name)
            if value is not None and value < 1:
                raise InvalidOption(
                    f"{field.name} is {value}, but must be at least 1.",
                    hint=f"Leave {field.name} out to have no limit.",
                )

    @property
    def keeps_segments(self) -> bool:
        """Whether a cue ends where its segment does."""
        return self.max_line_width is None or self.max_line_count is None

    @property
    def cuts(self) -> bool:
        """Whether any option asks for something else than one cue a segment."""
        return self != SubtitleOptions()


@dataclass(frozen=True, slots=True)
class Cue:
    """One text on the screen. Cleaned, never empty, `start_ms < end_ms`."""

    start_ms: int
    end_ms: int
    text: str  # lines are separated by a newline
    speaker: str | None = None
    mark: tuple[int, int] | None = None  # the part of the text that is being spoken


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word as it is shown, with the punctuation behind it."""

    text: str
    start_ms: int
    end_ms: int
    spaced: bool  # a space goes before it unless it opens a line
    speaker: str | None


def cues(transcript: Transcript, options: SubtitleOptions | None = None) -> Iterator[Cue]:
    """The transcript's cues in order; segments without text have none."""
    options = options or SubtitleOptions()
    drafts = _cut_cues(transcript, options) if options.cuts else segment_cues(transcript)
    earliest = 0
    for cue in drafts:
        start = max(cue.start_ms, earliest)
        yield replace(cue, start_ms=start, end_ms=max(cue.end_ms, start + 1))
        earliest = start


def segment_cues(transcript: Transcript) -> Iterator[Cue]:
    """One cue for each segment that has text, in the segment's own times."""
    earliest = 0
    for segment in transcript.segments:
        if text := clean(segment.text):
            start = max(milliseconds(segment.start), earliest)
            end = max(milliseconds(segment.end), start + 1)
            yield Cue(start, end, text, _speaker(segment))
            earliest = start


def clean(text: str) -> str:
    """The text on one line, without control characters and without a cue's arrow."""
    line = " ".join(_UNPRINTABLE.sub("", text).split())
    return _ARROW.sub("->", line)


def milliseconds(seconds: float) -> int:
    """A time as whole milliseconds from 0 to `LATEST_MS`; not a number is 0."""
    if not math.isfinite(seconds):
        return 0
    return round(min(max(seconds, 0.0), LATEST_MS / 1000) * 1000)


def _speaker(segment: Segment) -> str | None:
    return clean(segment.speaker or "") or None


def _cut_cues(transcript: Transcript, options: SubtitleOptions) -> Iterator[Cue]:
    for run in _runs(transcript, options):
        lines = _lines(run, options.max_line_width)
        count = options.max_line_count or len(lines)
        for first in range(0, len(lines), count):
            shown = lines[first : first + count]
            yield from _highlighted(shown) if options.highlight_words else [_cue(shown)]


def _runs(transcript: Transcript, options: SubtitleOptions) -> Iterator[list[_Piece]]:
    """The pieces in stretches that no cue crosses."""
    segments = (pieces for s in transcript.segments if (pieces := _pieces(s)))
    if not options.keeps_segments:
        yield from _between_pauses([piece for pieces in segments for piece in pieces])
        return
    for pieces in segments:
        count = options.max_words_per_line or len(pieces)
        for first in range(0, len(pieces), count):
            yield pieces[first : first + count]


def _between_pauses(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    run = pieces[:1]
    for previous, piece in pairwise(pieces):
        long_pause = piece.start_ms - previous.start_ms > LONG_PAUSE_MS
        if long_pause or piece.speaker != previous.speaker:
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _lines(run: list[_Piece], width: int | None) -> list[list[_Piece]]:
    lines: list[list[_Piece]] = []
    room = 0.0
    for piece in run:
        needed = len(piece.text) + piece.spaced
        if lines and needed <= room:
            lines[-1].append(piece)
            room -= needed
        else:
            lines.append([piece])
            room = (width or math.inf) - len(piece.text)
    return lines


def _pieces(segment: Segment) -> list[_Piece]:
    """The segment's words as they are shown; empty if it has no text."""
    text, speaker = clean(segment.text), _speaker(segment)
    words = [(clean(w.word), milliseconds(w.start), milliseconds(w.end)) for w in segment.words]
    words = [word for word in words if word[0]] or _guessed(segment, text)
    places = _places(text, [word for word, _, _ in words])
    pieces: list[_Piece] = []
    for index, (word, start, end) in enumerate(words if text else ()):
        spaced = True
        if places:
            # Shown as in the text, so that nothing between two words is lost.
            word = text[places[index] : places[index + 1]].strip()
            spaced = index == 0 or text[places[index] - 1] == " "
        start = max(start, pieces[-1].start_ms if pieces else 0)
        pieces.append(_Piece(word, start, max(end, start + 1), spaced, speaker))
    return pieces


def _places(text: str, words: list[str]) -> list[int]:
    """Where each word begins in the text, and the text's end; empty if one is not in it."""
    places, position = [], 0
    for word in words:
        position = text.find(word, position)
        if position < 0:
            return []
        places.append(position)
        position += len(word)
    return [0, *places[1:], len(text)] if places else []


def _guessed(segment: Segment, text: str) -> list[tuple[str, int, int]]:
    """The text's words, their times spread over the segment by their length."""
    start = milliseconds(segment.start)
    span = max(milliseconds(segment.end) - start, 0)
    guessed, position = [], 0
    for word in text.split():
        begins = start + span * position // len(text)
        position += len(word) + 1
        guessed.append((word, begins, start + span * min(position, len(text)) // len(text)))
    return guessed


def _text(lines: list[list[_Piece]]) -> tuple[str, list[tuple[int, int]]]:
    """The lines as one string, and where in it each piece is."""
    text, marks = "", []
    for line in lines:
        for index, piece in enumerate(line):
            if text:
                text += "\n" if index == 0 else " " * piece.spaced
            marks.append((len(text), len(text) + len(piece.text)))
            text += piece.text
    return text, marks


def _cue(lines: list[list[_Piece]]) -> Cue:
    first, last = lines[0][0], lines[-1][-1]
    return Cue(first.start_ms, last.end_ms, _text(lines)[0], first.speaker)


def _highlighted(lines: list[list[_Piece]]) -> Iterator[Cue]:
    """A cue for each piece while it is spoken and one for each gap between them."""
    text, marks = _text(lines)
    shown_until = lines[0][0].start_ms
    for piece, mark in zip(chain.from_iterable(lines), marks, strict=True):
        start = max(piece.start_ms, shown_until)
        if start > shown_until:
            yield Cue(shown_until, start, text, piece.speaker)
        shown_until = max(piece.end_ms, start + 1)
        yield Cue(start, shown_until, text, piece.speaker, mark)

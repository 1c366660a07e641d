"""Prepare a transcript's words for a screen: cleaned text, whole milliseconds.

Joined, the words are their transcript's text, but for white space where a line is cut.
`gpu_worker/words.py` finds the place of a word in its text and decides what stands between two
texts; `gpu_worker/assembly/subtitles.py` makes lines of words. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import regex

from gpu_worker.transcript import Segment
from gpu_worker.words import space_between, split_words, word_places

LATEST_MS = 9_999 * 3_600_000  # later times become this one: no program reads them

_ARROW = re.compile(r"-{2,}>")
# Control characters that are no white space, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_VISIBLE = regex.compile(r"(?!\p{Cf})\X")


@dataclass(frozen=True, slots=True)
class ShownWord:
    """A word with the text behind it up to the next word, without white space around it."""

    text: str
    start_ms: int
    end_ms: int
    spaced: bool  # a space goes before it unless it opens a line
    speaker: str | None
    language: str | None = None  # None: the transcript's


def shown_words(segments: Iterable[Segment]) -> Iterator[list[ShownWord]]:
    """Yield the words of each segment that has text.

    A segment without word times, or with the words of another text, is split into words, and
    its time is spread over them by their length.
    """
    before = ""
    for segment in segments:
        if text := clean(segment.text):
            yield _words(segment, text, space_between(before, text) == " ")
            before = text


def clean(text: str) -> str:
    """Return the text on one line, without control characters, and without a cue's arrow (-->)."""
    line = " ".join(_UNPRINTABLE.sub("", text).split())
    return _ARROW.sub("->", line)


def milliseconds(seconds: float) -> int:
    """Return a time as whole milliseconds from 0 to `LATEST_MS`; NaN and infinity give 0."""
    if not math.isfinite(seconds):
        return 0
    return round(min(max(seconds, 0.0), LATEST_MS / 1000) * 1000)


def shown_speaker(segment: Segment) -> str | None:
    """Return the segment's speaker as text on one line; None if there is no such text."""
    return clean(segment.speaker or "") or None


def visible_characters(text: str) -> int:
    """Count the characters that a reader sees: grapheme clusters, but for invisible ones."""
    return len(text) if text.isascii() else sum(1 for _ in _VISIBLE.finditer(text))


def _words(segment: Segment, text: str, spaced: bool) -> list[ShownWord]:
    """Return a segment's words, timed.

    `text` is the segment's, cleaned; `spaced` says whether a space goes before it.
    """
    timed = [(clean(w.word), milliseconds(w.start), milliseconds(w.end)) for w in segment.words]
    timed = [word for word in timed if word[0]]
    places = word_places(text, [word for word, _, _ in timed])
    times = [(start, end) for _, start, end in timed]
    if not any(start < end for start, end in places):
        places, times = split_words(text), []
    edges = [0, *(start for start, _ in places[1:]), len(text)]
    times = times or _guessed(segment, edges)
    found: list[ShownWord] = []
    earliest = 0
    for (first, stop), (start, end) in zip(pairwise(edges), times, strict=True):
        if shown := text[first:stop].strip():  # empty: the word is not in this text
            earliest = max(start, earliest)
            spaced = " " in text[first - 1 : first + 1] if first else spaced
            end = max(end, earliest + 1)
            speaker, language = shown_speaker(segment), segment.language
            found.append(ShownWord(shown, earliest, end, spaced, speaker, language))
    return found


def _guessed(segment: Segment, edges: list[int]) -> list[tuple[int, int]]:
    """Divide the segment's milliseconds among the parts of its text between these edges."""
    start = milliseconds(segment.start)
    span = max(milliseconds(segment.end) - start, 0)
    return list(pairwise(start + span * edge // edges[-1] for edge in edges))

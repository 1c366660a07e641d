"""A transcript's words as they are shown on a screen: cleaned text, whole milliseconds.

Shown one after another, the words give their transcript's text back, but for white space where
a line is cut. Where a word stands in its text and what goes between two of them is known to
`gpu_worker/words.py`; how words become lines, to `gpu_worker/assembly/subtitles.py`. Pure.
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

LATEST_MS = 9_999 * 3_600_000  # later times are taken for this one: no reader takes them

_ARROW = re.compile(r"-{2,}>")
# Control characters that are no white space, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_VISIBLE = regex.compile(r"(?!\p{Cf})\X")


@dataclass(frozen=True, slots=True)
class ShownWord:
    """A word with all that stands behind it in its text, but for white space around it."""

    text: str
    start_ms: int
    end_ms: int
    spaced: bool  # a space goes before it unless it opens a line
    speaker: str | None


def shown_words(segments: Iterable[Segment]) -> Iterator[list[ShownWord]]:
    """The words of each segment that has text.

    A segment without word times, or with the words of another text, is split into words, and
    its time is spread over them by their length.
    """
    before = ""
    for segment in segments:
        if text := clean(segment.text):
            yield _words(segment, text, space_between(before, text) == " ")
            before = text


def clean(text: str) -> str:
    """The text on one line, without control characters and without a cue's arrow."""
    line = " ".join(_UNPRINTABLE.sub("", text).split())
    return _ARROW.sub("->", line)


def milliseconds(seconds: float) -> int:
    """A time as whole milliseconds from 0 to `LATEST_MS`; not a number is 0."""
    if not math.isfinite(seconds):
        return 0
    return round(min(max(seconds, 0.0), LATEST_MS / 1000) * 1000)


def shown_speaker(segment: Segment) -> str | None:
    """The segment's speaker as text on one line; None if there is no such text."""
    return clean(segment.speaker or "") or None


def visible_characters(text: str) -> int:
    """How many characters a reader sees: grapheme clusters, but for invisible ones."""
    return len(text) if text.isascii() else sum(1 for _ in _VISIBLE.finditer(text))


def _words(segment: Segment, text: str, spaced: bool) -> list[ShownWord]:
    """`text` is the segment's, cleaned; `spaced` says whether a space goes before it."""
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
            found.append(ShownWord(shown, earliest, end, spaced, shown_speaker(segment)))
    return found


def _guessed(segment: Segment, edges: list[int]) -> list[tuple[int, int]]:
    """The segment's milliseconds, spread over the parts of its text between these edges."""
    start = milliseconds(segment.start)
    span = max(milliseconds(segment.end) - start, 0)
    return list(pairwise(start + span * edge // edges[-1] for edge in edges))

"""Change a segment's text at some places, and give its words the new text. Pure.

The words that an edit touches become the words of the new text: as many keep each its own time,
and more or fewer share the time from the first one's start to the last one's end by their
letters. What was heard stays in `spoken`: of a word whose own it is, else of the first of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gpu_worker.transcript import Segment, Word
from gpu_worker.words import Place, join_texts, split_words, word_places


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters of a text, and what is written in their place."""

    start: int
    end: int  # one past the last
    text: str


def edited_text(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with these edits, which are in order and do not overlap."""
    return _edited(text, 0, len(text), edits)


def edited(segment: Segment, edits: Sequence[Edit]) -> Segment:
    """Return the segment with these edits of its text, in order, that do not overlap."""
    text = segment.text
    edits = [edit for edit in edits if text[edit.start : edit.end] != edit.text]
    if not edits:
        return segment
    places = word_places(text, [word.word for word in segment.words])
    parts: list[str] = []
    words: list[Word] = []
    at = done = 0  # characters and words that are written
    for first, last, inside in _groups(places, edits):
        start, end = places[first][0], places[last - 1][1]
        new = _edited(text, start, end, inside)
        parts += [text[at:start], new]
        words += [*segment.words[done:first], *_fitted(segment.words[first:last], new)]
        at, done = end, last
    if not parts:  # it has no words, or those of another text
        return replace(segment, text=edited_text(text, edits), spoken=segment.spoken or text)
    parts.append(text[at:])
    words += segment.words[done:]
    return replace(segment, text="".join(parts), words=tuple(words), spoken=segment.spoken or text)


def spoken_words(words: Iterable[Word]) -> str:
    """Return what was heard of these words, as one text."""
    return join_texts(word.word if word.spoken is None else word.spoken for word in words)


def _groups(
    places: Sequence[Place], edits: Sequence[Edit]
) -> Iterator[tuple[int, int, list[Edit]]]:
    """Yield words that are changed together: the first, one past the last, and their edits."""
    waiting = list(edits)
    at = 0
    while at < len(places) and waiting:
        start, end = places[at]
        last, inside = at + 1, []
        while waiting and waiting[0].start < end:
            edit = waiting.pop(0)
            if edit.start < start:
                continue  # it begins before this word, in none: of a text that is not the words'
            inside.append(edit)
            while last < len(places) and places[last][0] < edit.end:
                end = places[last][1]
                last += 1
        if inside:
            yield at, last, inside
        at = last


def _edited(text: str, start: int, end: int, edits: Iterable[Edit]) -> str:
    parts: list[str] = []
    for edit in edits:
        parts += [text[start : edit.start], edit.text]
        start = edit.end
    return "".join((*parts, text[start:end]))


def _fitted(words: Sequence[Word], text: str) -> list[Word]:
    """Return the words of a new text that stands for these words."""
    new = [text[start:end] for start, end in split_words(text)]
    if len(new) == len(words):
        return [_said(replace(word, word=one), word) for word, one in zip(words, new, strict=True)]
    first, last = words[0], words[-1]
    doubts = [word.doubt for word in words if word.doubt is not None]
    start, end = first.start, max(first.start, last.end)
    letters = sum(map(len, new))
    made: list[Word] = []
    written = 0
    for one in new:
        begin = start if not made else made[-1].end
        written += len(one)
        made.append(
            Word(
                one,
                begin,
                end if written == letters else round(start + (end - start) * written / letters, 3),
                min(word.score for word in words),
                speaker=first.speaker,
                interpolated=len(new) > 1 or any(word.interpolated for word in words),
                doubt=max(doubts) if doubts else None,
                spoken="" if made else spoken_words(words),
            )
        )
    return made


def _said(word: Word, before: Word) -> Word:
    """Return a word with what was heard of it, if that differs from what is written."""
    spoken = before.word if before.spoken is None else before.spoken
    return replace(word, spoken=None if spoken == word.word else spoken)

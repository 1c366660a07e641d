"""Give each line what other texts of its window say in its place. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from gpu_worker.doubt.repetition import spoken_form
from gpu_worker.transcript import Alternative, Segment
from gpu_worker.words import split_words

MOST = 2  # of a line


def different(text: str, others: Sequence[Alternative]) -> tuple[Alternative, ...]:
    """Return the first `MOST` texts that say something else than `text` and than each other."""
    found: dict[str, Alternative] = {}
    for other in others:
        found.setdefault(spoken_form(other.text), other)
    found.pop(spoken_form(text), None)
    return tuple(found.values())[:MOST]


def in_place_of(
    words: Sequence[str], first: int, end: int, others: Sequence[Alternative]
) -> tuple[Alternative, ...]:
    """Return what other texts have in place of the words from `first` up to `end`.

    `words` are all of the text that was taken. Each part of another text is in the place of one
    part of this text, so together the lines of a window have all of it.
    """
    parts = []
    for other in others:
        spans = split_words(other.text)
        own = list(map(spoken_form, words))
        theirs = [spoken_form(other.text[start:stop]) for start, stop in spans]
        blocks = SequenceMatcher(None, own, theirs, autojunk=False).get_opcodes()
        begin = _place(first, blocks) if first else 0
        stop = _place(end, blocks) if end < len(words) else len(spans)
        text = other.text[spans[begin][0] : spans[stop - 1][1]] if stop > begin else ""
        parts.append(replace(other, text=text))
    return different(" ".join(words[first:end]), [part for part in parts if part.text])


def with_own_alternatives(lines: Sequence[Segment]) -> list[Segment]:
    """Keep of each alternative of a cut segment what is in a line's place.

    `lines` are all parts of the segment, with words, and each has all of its alternatives.
    """
    words = [word.word for line in lines for word in line.words]
    found, first = [], 0
    for line in lines:
        end = first + len(line.words)
        if line.alternatives:
            others = in_place_of(words, first, end, line.alternatives)
            line = replace(line, alternatives=others)
        found.append(line)
        first = end
    return found


def _place(index: int, blocks: Sequence[tuple[str, int, int, int, int]]) -> int:
    """Return the place in the other text that a word of the own text has."""
    for _, begin, end, other_begin, other_end in blocks:
        if begin <= index < end:
            return min(other_begin + index - begin, other_end)
    return blocks[-1][4] if blocks else 0

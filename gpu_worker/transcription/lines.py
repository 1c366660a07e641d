"""Cut the text of a window into lines that people read; a line becomes a segment.

A line is a sentence. A sentence is cut only where it is too long, or where it holds a silence
that is too long for one line. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from unicodedata import east_asian_width

from gpu_worker.transcript import Segment, Word
from gpu_worker.words import Place, word_places

LONG_SILENCE_SECONDS = 3.0  # openai/whisper ends a subtitle there
LONGEST_COLUMNS = 168  # four lines of 42, the width of a subtitle; a wide character takes two
LONGEST_SECONDS = 15.0
_CLAUSE_MARKS = (",", ";", ":", "—", "–", "،", "؛", "、", "，", "；", "：")
_CLAUSE_WORTH_SECONDS = 0.5  # a mark between two clauses counts as a silence of this length
_OFF_CENTRE_COST_SECONDS = 1.0  # subtracted from the silence for a cut at the edge of a line


def split_lines(segment: Segment, language: str) -> list[Segment]:
    """Cut a segment with timed words into lines.

    `language` is a code such as `en`; it selects the abbreviations that end no sentence.
    """
    places = word_places(segment.text, [word.word for word in segment.words])
    words = segment.words
    starts = {
        index
        for index, (before, word) in enumerate(pairwise(words), 1)
        if word.start - before.end >= LONG_SILENCE_SECONDS
    }
    starts |= _sentence_starts(segment.text, places, language)
    edges = [0, *sorted(starts), len(words)]
    firsts = [
        first for edge in pairwise(edges) for first in _fitting(segment.text, words, places, *edge)
    ]
    return cut_segment(segment, firsts)


def cut_segment(segment: Segment, firsts: Iterable[int]) -> list[Segment]:
    """Cut a segment before each of the words with these numbers, of which the first is 0.

    The texts are the segment's own, without the white space at the cuts. The outer edges stay.
    """
    places = word_places(segment.text, [word.word for word in segment.words])
    edges = [*firsts, len(segment.words)]
    parts: list[Segment] = []
    for first, end in pairwise(edges):
        words = segment.words[first:end]
        begin = places[first][0] if first else 0
        stop = places[end][0] if end < len(places) else len(segment.text)
        text = segment.text[begin:stop].strip()
        start = segment.start if first == 0 else words[0].start
        last = segment.end if end == len(segment.words) else words[-1].end
        parts.append(replace(segment, start=start, end=last, text=text, words=words))
    return parts


def _sentence_starts(text: str, places: Sequence[Place], language: str) -> set[int]:
    """Return the numbers of the words with which a sentence begins, but for the first one."""
    from sentencex import get_sentence_boundaries  # late: Flower imports all stages without it

    begins = [boundary["start_index"] for boundary in get_sentence_boundaries(language, text)]
    found: set[int] = set()
    index = 0
    for begin in sorted(begins):
        while index < len(places) and places[index][0] < begin:
            index += 1
        if 0 < index < len(places):
            found.add(index)
    return found


def _fitting(
    text: str, words: Sequence[Word], places: Sequence[Place], first: int, end: int
) -> list[int]:
    """Cut a sentence, the words from `first` up to `end`, into lines that are short enough.

    Return the number of each line's first word.
    """
    seconds = words[end - 1].end - words[first].start
    columns = _columns(text[places[first][0] : places[end - 1][1]])
    if end - first < 2 or (seconds <= LONGEST_SECONDS and columns <= LONGEST_COLUMNS):
        return [first]
    middle, half = (first + end) / 2, (end - first) / 2

    def worth(index: int) -> float:
        silence = words[index].start - words[index - 1].end
        clause = _CLAUSE_WORTH_SECONDS * words[index - 1].word.endswith(_CLAUSE_MARKS)
        return silence + clause - _OFF_CENTRE_COST_SECONDS * abs(index - middle) / half

    cut = max(range(first + 1, end), key=worth)
    return [*_fitting(text, words, places, first, cut), *_fitting(text, words, places, cut, end)]


def _columns(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)

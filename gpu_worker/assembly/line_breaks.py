"""Where a text is well cut, into cues and into lines. Pure.

Both standards that profiles are made of ask the same: cut after punctuation marks, keep what
belongs together on one line. A word of up to three letters (an article, a preposition, a pronoun)
belongs to the next one in most languages written with spaces, so none of these should end a line.
"""

from __future__ import annotations

from collections.abc import Sequence

import regex

from gpu_worker.assembly.shown_words import ShownWord
from gpu_worker.assembly.subtitle_profiles import Limits

SHORT_WORD = 3  # letters
# How bad a cut is: after a sentence, after a clause, elsewhere, and after a short word as well.
SENTENCE, CLAUSE, ELSEWHERE, AFTER_SHORT = 0.0, 8.0, 25.0, 8.0
_SENTENCE_END = regex.compile(r"[.!?…。！？؟।][\p{Pe}\p{Pf}\"']*\Z")
_CLAUSE_END = regex.compile(r"(?:[,;:،、，；：]|[–—])[\p{Pe}\p{Pf}\"']*\Z")


def ends_sentence(text: str) -> bool:
    """Whether a word has the mark of a sentence's end."""
    return _SENTENCE_END.search(text) is not None


def badness(word: ShownWord) -> float:
    """How bad it is to cut behind this word, from 0."""
    if ends_sentence(word.text):
        return SENTENCE
    if _CLAUSE_END.search(word.text):
        return CLAUSE
    return ELSEWHERE + (AFTER_SHORT if len(word.text) <= SHORT_WORD else 0.0)


def broken_text(words: Sequence[ShownWord], limits: Limits) -> str:
    """Return the words' text in as few lines as hold it, two of them broken at the best place.

    More lines than the limits have are filled one after another.
    """
    if limits.width(_line(words)) <= limits.line_width:
        return _line(words)
    pairs = [
        (words[:cut], words[cut:])
        for cut in range(1, len(words))
        if limits.width(_line(words[:cut])) <= limits.line_width
        and limits.width(_line(words[cut:])) <= limits.line_width
    ]
    if not pairs:
        return "\n".join(_line(line) for line in _filled(words, limits))
    first, second = min(pairs, key=lambda it: badness(it[0][-1]) + _unevenness(*it, limits=limits))
    return f"{_line(first)}\n{_line(second)}"


def _unevenness(
    first: Sequence[ShownWord], second: Sequence[ShownWord], *, limits: Limits
) -> float:
    """Up to 25 for lines of unlike lengths; a shorter line above the longer costs half."""
    difference = (limits.width(_line(first)) - limits.width(_line(second))) / limits.line_width
    return 25 * (difference if difference > 0 else -difference / 2)


def _filled(words: Sequence[ShownWord], limits: Limits) -> list[list[ShownWord]]:
    lines: list[list[ShownWord]] = []
    for word in words:
        if lines and limits.width(_line([*lines[-1], word])) <= limits.line_width:
            lines[-1].append(word)
        else:
            lines.append([word])
    return lines


def _line(words: Sequence[ShownWord]) -> str:
    rest = "".join(" " * word.spaced + word.text for word in words[1:])
    return words[0].text + rest

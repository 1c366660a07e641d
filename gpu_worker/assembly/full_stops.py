"""Take away full stops that a model adds where its window ends, in the middle of a sentence.

The evidence is the next line: it goes on with a small letter, in a script that has small and
capital letters. Nouns of German are written with capital letters, so a capital is none. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import regex

from gpu_worker.transcript import Segment

LONGEST_PAUSE_SECONDS = 3.0  # in a sentence that goes on
_STOP = regex.compile(r"(?<=\w[\"'»”’)\]]?)(?:\.{1,3}|…)$")
_CASED = r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Armenian}]"
# A word in small letters: iPhone and eBay begin a sentence as well.
_GOES_ON = regex.compile(
    rf"[\"'«“‘(\[]?(?:(?={_CASED})\p{{Ll}})(?:\p{{M}}|(?!\p{{Lu}})\w)*\b(?!\p{{Lu}})"
)
_PLAIN = "maison."  # no abbreviation in any language
_LAST_WORDS = regex.compile(r"\S+(?:\s+\S+){0,3}$")


def without_false_stops(
    segments: Iterable[Segment], language: str, written: str | None = None
) -> tuple[Segment, ...]:
    """Return the segments, in order, without the stops between one and the next that are false.

    `language` is that of segments which have none of their own; `written` that of all text, as of
    a translation. Words lose them as their line does. No sentence goes on in another language.
    """
    lines = tuple(segments)

    def is_false(line: Segment, after: Segment) -> bool:
        own, next_one = (written or one.language or language for one in (line, after))
        return own == next_one and _is_false_stop(line, after, own)

    kept = [
        _without_stop(line) if is_false(line, after) else line for line, after in pairwise(lines)
    ]
    return (*kept, *lines[-1:])


def _is_false_stop(line: Segment, after: Segment, language: str) -> bool:
    if not _STOP.search(line.text) or not _GOES_ON.match(after.text):
        return False
    if after.start - line.end > LONGEST_PAUSE_SECONDS or line.speaker != after.speaker:
        return False
    last = _LAST_WORDS.search(line.text)
    assert last is not None
    following = after.text.split(maxsplit=1)[0]
    return last[0].endswith(("..", "…")) or _ends_sentence(last[0], following, language)


def _ends_sentence(last: str, following: str, language: str) -> bool:
    """Return whether the stop behind these words is none of an abbreviation (etc., z. B.).

    In some languages, such as German, a sentence is never seen to begin with a small letter; there
    the following word is given a capital one.
    """
    for begin in (following, following.title()):
        if _sentences(f"{_PLAIN} {begin}", language) > 1:
            return _sentences(f"{last} {begin}", language) > 1
    return True


def _sentences(text: str, language: str) -> int:
    from sentencex import get_sentence_boundaries  # late: Flower imports all stages without it

    return len(list(get_sentence_boundaries(language, text)))


def _without_stop(line: Segment) -> Segment:
    text = _STOP.sub("", line.text)
    if not line.words:
        return replace(line, text=text)
    last = line.words[-1]
    word = _STOP.sub("", last.word)
    if not text.endswith(word):
        return line
    return replace(line, text=text, words=(*line.words[:-1], replace(last, word=word)))

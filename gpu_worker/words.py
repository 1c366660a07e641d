"""Find the words of a text and their places in it, and join texts. Pure.

A word is what a reader calls one: `$3.5`, `AT&T`, `l'e-mail` and `U.S.A.` are one word each. In
scripts that put no spaces between words it is a grapheme cluster, since a cluster is the least
that can be shown alone. Words together hold every character of a text that is not white space.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import regex

# Letters of the scripts that put no space between words.
_UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
)
# Languages that are written in them.
UNSPACED_LANGUAGES = frozenset({"ja", "yue", "zh", "th", "lo", "km", "my", "bo"})
_WIDE_MARKS = r"\u3000-\u3003\u3008-\u301f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
# Vowels that are written before the consonant they belong to.
_LEADING_VOWELS = r"\u0e40-\u0e44\u0ec0-\u0ec4"
_OPENING = r"[\p{Ps}\p{Pi}¿¡\"']"
# Grapheme clusters that begin with a letter of a script with spaces, a digit or a symbol …
_LETTER = rf"(?:(?![{_UNSPACED}])(?=[^\s\p{{P}}])\X)"
_MARK_AFTER = r"(?:(?![\p{Ps}\p{Pi}])(?=\p{P})\X)"  # … and with a mark that opens nothing
_PIECE = regex.compile(r"\S+")
_PART = regex.compile(
    rf"(?:(?={_OPENING})\X)*(?:[{_LEADING_VOWELS}]?(?=[{_UNSPACED}])\X(?:(?=[\u30fc\uff70])\X)*"
    rf"|{_LETTER}(?:(?:(?=\p{{P}})\X)*{_LETTER})*){_MARK_AFTER}*"
    r"|(?=\S)\X"
)
_HAS_UNSPACED = regex.compile(f"[{_UNSPACED}]")
_SOUNDLESS = regex.compile(r"(?:(?![&%‰@#*/])\p{P}|\p{M}|\p{Cf})+")
_MARK = r"(?:(?![&%‰@#*/])[\p{P}\s])"
_SOUNDING = regex.compile(rf"{_MARK}*+(.+?){_MARK}*", regex.DOTALL)
_ONLY_OPENING = regex.compile(r"(?:[\p{Ps}\p{Pi}¿¡]|-|–|—)+")
_ENDS_UNSPACED = regex.compile(rf"[{_UNSPACED}]\X?\Z")
_ENDS_WIDE = regex.compile(rf"[{_WIDE_MARKS}]\Z")
_STARTS_UNSPACED = regex.compile(rf"[{_UNSPACED}{_WIDE_MARKS}]")

Place = tuple[int, int]  # first character of a word in its text, and one past its last


def split_words(text: str) -> list[Place]:
    """Find the words of `text`, in order.

    A mark without a sound of its own (`«`, ` ?`, `–`) belongs to the word beside it, also
    where a space stands between them.
    """
    places: list[Place] = []
    for piece in _PIECE.finditer(text):
        if _HAS_UNSPACED.search(piece[0]):
            places += [part.span() for part in _PART.finditer(text, *piece.span())]
        else:
            places.append(piece.span())
    return _with_marks(text, places)


def _with_marks(text: str, places: list[Place]) -> list[Place]:
    """Join each mark without a sound to the word before it, or if it opens one, to the next."""
    joined: list[Place] = []
    waiting: int | None = None  # where marks began that belong to the next word
    for start, end in places:
        start = start if waiting is None else waiting
        waiting = None
        if not _SOUNDLESS.fullmatch(text, start, end):
            joined.append((start, end))
        elif not joined or _ONLY_OPENING.fullmatch(text, start, end):
            waiting = start
        else:
            joined[-1] = (joined[-1][0], end)
    if waiting is not None:
        joined.append((joined.pop()[0] if joined else waiting, places[-1][1]))
    return joined


def word_places(text: str, words: Sequence[str]) -> list[Place]:
    """Find the place of each of a text's own words in it; return one for each word.

    Nothing but white space stands between two of them. A word that is not in the text (of a
    result that another program made) is given the empty place behind the word before it.
    """
    places: list[Place] = []
    at = 0
    for word in words:
        start = text.find(word, at)
        at, end = (start, start + len(word)) if start >= 0 else (at, at)
        places.append((at, end))
        at = end
    return places


def space_between(before: str, after: str) -> str:
    """Return what to write between two texts that follow each other: a space, or nothing.

    Scripts without spaces between words have none between sentences either.
    """
    wide = _ENDS_WIDE.search(before)
    unspaced = _ENDS_UNSPACED.search(before) and _STARTS_UNSPACED.match(after)
    return "" if not before or not after or wide or unspaced else " "


def join_texts(texts: Iterable[str]) -> str:
    """Join texts that follow each other into one, without the white space around each."""
    parts: list[str] = []
    last = ""
    for text in filter(None, (text.strip() for text in texts)):
        parts += [space_between(last, text), text]
        last = text[-8:]  # enough for the last grapheme cluster
    return "".join(parts)


def sounding_part(text: str, place: Place) -> Place:
    """Return the place of a word without the marks around it, which are written and not said.

    A word of marks alone is returned whole.
    """
    found = _SOUNDING.fullmatch(text, *place)
    return found.span(1) if found else place

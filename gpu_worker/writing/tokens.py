"""Cut a text into tokens: the least parts of it that a phrase or a number is made of. Pure.

A token is what stands between spaces, hyphens and apostrophes, without the marks around it; so
`Anna's` is two and `twenty-five,` too. In scripts without spaces it is a grapheme cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

import regex

from gpu_worker.transcript import Word
from gpu_worker.words import Place, sounding_part, split_words

_PART = regex.compile(r"[^\s\-‐‑'’]+")
# What may stand between two tokens of one phrase.
_GAP = regex.compile(r"[\s\-‐‑'’]*")
_DIGIT = regex.compile(r"\p{N}")
_SOUND = regex.compile(r"[\p{L}\p{N}\p{S}*%&@#]")


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a text, and how it stands beside the token before it."""

    text: str  # normalized: equal for texts that differ in case or width alone
    start: int  # its first character in the text
    end: int  # one past its last
    is_joined: bool = False  # one speaker says both, and no mark stands between them
    is_elided: bool = False  # an apostrophe stands right before it
    pause: float = 0.0  # seconds of silence between them

    @property
    def has_digits(self) -> bool:
        """Whether a digit is written in it, in any script."""
        return _DIGIT.search(self.text) is not None


def tokens_of(text: str, words: Sequence[Word] = (), places: Sequence[Place] = ()) -> list[Token]:
    """Return the tokens of a text; `places` are those of its words, of which both may be empty."""
    found: list[Token] = []
    voices = list(zip(places, words, strict=True))
    at, before = 0, None  # the word of a token, and the word of the token before it
    for start, end in _sounds(text):
        while at < len(voices) and voices[at][0][1] <= start:
            at += 1
        word = voices[at][1] if at < len(voices) else None
        gap = text[found[-1].end : start] if found else ""
        pause, is_same_voice = 0.0, True
        if word is not None and before is not None and word is not before:
            pause, is_same_voice = word.start - before.end, word.speaker == before.speaker
        found.append(
            Token(
                folded(text[start:end]),
                start,
                end,
                is_joined=bool(found) and is_same_voice and _GAP.fullmatch(gap) is not None,
                is_elided=gap[-1:] in ("'", "’") and bool(gap),
                pause=pause,
            )
        )
        before = word
    return found


def folded(text: str) -> str:
    """Return the text as phrases are compared: without case, width and forms of apostrophes."""
    return normalize("NFKC", normalize("NFKC", text).casefold()).replace("’", "'")


def _sounds(text: str) -> list[Place]:
    """Find the tokens in a text."""
    return [
        sounding_part(text, part.span())
        for place in split_words(text)
        for part in _PART.finditer(text, *place)
        if _SOUND.search(part[0])
    ]

"""Find phrases in a text: whole words, in any case. Pure.

The time is that of one walk over the text, however many phrases there are: each is found by its
first token. There are no regular expressions, whose time nothing bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gpu_worker.writing.tokens import Token, tokens_of

ENDING = "*"  # of a phrase of one word that stands for all words that begin so
_LONGEST_ELIDED = 2  # letters: 's, 't, 're, 'll are endings and no words


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase in a text: its tokens from `first` up to `last`, and which phrase it is."""

    first: int
    last: int  # one past its last token
    phrase: int


class Phrases:
    """Phrases to be found together. Of several at one place the longest is found."""

    def __init__(self, phrases: Iterable[str], *, with_endings: bool = False) -> None:
        """Take the phrases; `with_endings`: one word and * stands for all that begin so."""
        self._by_first: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        self._beginnings: dict[str, int] = {}
        for number, phrase in enumerate(phrases):
            is_beginning = with_endings and phrase.endswith(ENDING)
            parts = tuple(token.text for token in tokens_of(phrase.removesuffix(ENDING)))
            if is_beginning and len(parts) == 1:
                self._beginnings.setdefault(parts[0], number)
            elif parts:
                self._by_first.setdefault(parts[0], []).append((parts, number))
        for same in self._by_first.values():
            same.sort(key=lambda it: -len(it[0]))

    def find(self, tokens: Sequence[Token]) -> Iterator[Found]:
        """Yield the phrases in these tokens, from the left; no two share a token."""
        at = 0
        while at < len(tokens):
            found = self._at(tokens, at)
            if found is not None:
                yield found
            at = at + 1 if found is None else found.last

    def _at(self, tokens: Sequence[Token], at: int) -> Found | None:
        first = tokens[at]
        if first.is_elided and len(first.text) <= _LONGEST_ELIDED:
            return None
        for parts, number in self._by_first.get(first.text, ()):
            last = at + len(parts)
            rest = tokens[at + 1 : last]
            if tuple(it.text for it in rest) == parts[1:] and all(it.is_joined for it in rest):
                return Found(at, last, number)
        for length in range(1, len(first.text) + 1) if self._beginnings else ():
            if first.text[:length] in self._beginnings:
                return Found(at, at + 1, self._beginnings[first.text[:length]])
        return None

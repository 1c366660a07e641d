"""Spell the words of a window in the symbols of an align model.

The rules are whisperX's (alignment.py, `align`): lower case, the separator between
words, none in languages that are written without spaces, and a wildcard for each
character that the model does not know. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LANGUAGES_WITHOUT_SPACES = ("ja", "zh")
SEPARATOR = "|"  # stands for a space in wav2vec2's alphabets
WILDCARD = -1  # matches every symbol but the blank
_BLANKS = ("[pad]", "<pad>")


@dataclass(frozen=True, slots=True)
class Alphabet:
    """The symbols of one align model."""

    symbols: Mapping[str, int]  # lower case -> its column in the emissions
    blank: int
    separator: int | None  # None: words follow each other without one


@dataclass(frozen=True, slots=True)
class Spelling:
    """All words of a window as one row of symbols."""

    symbols: NDArray[np.intp]  # shape (length,); WILDCARD where there is none
    words: tuple[slice, ...]  # where each word's own symbols are; may be empty


def read_alphabet(vocabulary: Mapping[str, int], language: str) -> Alphabet:
    """Make the alphabet of a model with this vocabulary, for words of `language`.

    The blank is the symbol `[pad]` or `<pad>`, else column 0.
    """
    symbols = {symbol.lower(): column for symbol, column in vocabulary.items()}
    blank = 0
    for symbol, column in symbols.items():
        if symbol in _BLANKS:
            blank = column
    spaced = language not in LANGUAGES_WITHOUT_SPACES
    return Alphabet(symbols, blank, symbols.get(SEPARATOR) if spaced else None)


def plain_characters(word: str) -> str:
    """Return the characters to look up: lower case, one for each written one, no white space."""
    return "".join(char.lower()[0] for char in word if not char.isspace())


def spell_words(words: Sequence[str], alphabet: Alphabet) -> Spelling:
    """Spell all words as one row of symbols, with the separator between words that have any."""
    symbols: list[int] = []
    places: list[slice] = []
    for word in words:
        own = _symbols_of(word, alphabet)
        if own and symbols and alphabet.separator is not None:
            symbols.append(alphabet.separator)
        places.append(slice(len(symbols), len(symbols) + len(own)))
        symbols += own
    return Spelling(np.asarray(symbols, dtype=np.intp), tuple(places))


def _symbols_of(word: str, alphabet: Alphabet) -> list[int]:
    return [
        alphabet.symbols.get(char, WILDCARD)
        for char in plain_characters(word)
        if char != SEPARATOR or char in alphabet.symbols
    ]

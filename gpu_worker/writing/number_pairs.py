"""Find pairs of numbers, which are written in one form: `5 or 6`, `June 5 to 7`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_worker.writing.tokens import Token

_BETWEEN = {
    "da": frozenset({"og", "eller", "til"}),
    "de": frozenset({"und", "oder", "bis"}),
    "en": frozenset({"and", "or", "to", "through"}),
    "es": frozenset({"y", "o", "a"}),
    "fr": frozenset({"et", "ou", "à"}),
    "it": frozenset({"e", "o", "a"}),
    "nl": frozenset({"en", "of", "tot"}),
    "pt": frozenset({"e", "ou", "a"}),
}


def second_of_pair(tokens: Sequence[Token], first: int, language: str) -> int | None:
    """Return the place of the token that may be a pair with the number at `first`.

    None if no word of `_BETWEEN` stands behind that number.
    """
    rest = tokens[first + 1 : first + 3]
    is_pair = (
        len(rest) > 1 and all(it.is_joined for it in rest) and rest[0].text in _BETWEEN[language]
    )
    return first + 2 if is_pair else None

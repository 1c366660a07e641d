"""Which words of a text were heard otherwise: what stands in the place of each. Needs jiwer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

# Words of a stretch, when whole recordings are too few to resample. Errors come in runs within a
# sentence; stretches of about a sentence or two are nearly independent of one another.
STRETCH_WORDS = 20


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard in the place of one word that was said."""

    words: tuple[str, ...]  # none if the word is missing; added words stand behind the one before
    errors: int  # substituted, missing and added words


def heard_words(said: Sequence[str], heard: Sequence[str]) -> tuple[Heard, ...]:
    """Return what was heard in the place of each word, with the fewest errors in all.

    Words are normalised already. What was heard before the first word counts with it.
    """
    if not said:
        return ()
    if not heard:
        return tuple(Heard((), 1) for _ in said)
    places: list[list[str]] = [[] for _ in said]
    errors = [0] * len(said)
    for part in jiwer.process_words(" ".join(said), " ".join(heard)).alignments[0]:
        first, last = part.ref_start_idx, part.ref_end_idx
        found = heard[part.hyp_start_idx : part.hyp_end_idx]
        if part.type == "insert":
            place = max(0, first - 1)
            places[place] += found
            errors[place] += len(found)
            continue
        for step, place in enumerate(range(first, last)):
            places[place] += found[step : step + 1]  # nothing if it is missing
            errors[place] += part.type != "equal"
    return tuple(Heard(tuple(words), count) for words, count in zip(places, errors, strict=True))


def stretches(said: Sequence[str], sides: Sequence[Sequence[str]]) -> list[list[int]]:
    """Return for each stretch of a text its words, and the errors of each side in it.

    A text without words is one stretch of none, in which all that was heard is wrong.
    """
    if not said:
        return [[0, *map(len, sides)]] if any(sides) else []
    errors = [[each.errors for each in heard_words(said, heard)] for heard in sides]
    return [
        [len(said[first : first + STRETCH_WORDS])]
        + [sum(side[first : first + STRETCH_WORDS]) for side in errors]
        for first in range(0, len(said), STRETCH_WORDS)
    ]

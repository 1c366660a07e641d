"""Decide which language each snippet of speech is in, with hysteresis. Pure.

A single snippet is judged wrongly now and then, above all a short one. So the languages of all
snippets are found together, as the likeliest row of states of a hidden Markov model (Viterbi): each
snippet speaks for its languages, and each change of language costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

# Chosen with mixtures of English and Spanish that are not those whose figures are reported
# (docs/accuracy.md); with values near these the results
# are about the same.
CHANGE_COST = 1.5  # of a change, as a natural logarithm of a probability: one in four
LEAST_CHANCE = 0.003  # no snippet is surer against a language: it would outweigh all its neighbours
FULL_WEIGHT_SECONDS = 2.0  # a shorter snippet has less of a say
_PRIOR_COST = 1.0  # of beginning with another language than the one that the job names

Chances = Mapping[str, float]  # of each language's code


@dataclass(frozen=True, slots=True)
class LanguageChoice:
    """The languages that a file may be in."""

    allowed: tuple[str, ...]  # codes; empty: all that the model knows
    prior: str | None = None  # one of them: the language to begin with in doubt

    def among(self, known: Iterable[str]) -> LanguageChoice:
        """Return the choice for a model that knows these languages."""
        return self if self.allowed else replace(self, allowed=tuple(sorted(known)))


def restricted(chances: Chances, allowed: Sequence[str]) -> dict[str, float]:
    """Return the chances of the allowed languages alone; they sum to 1."""
    kept = {code: chances.get(code, 0.0) for code in allowed}
    total = sum(kept.values())
    if total <= 0.0:
        return dict.fromkeys(allowed, 1.0 / len(allowed))
    return {code: chance / total for code, chance in kept.items()}


def spoken_languages(
    heard: Sequence[Chances], seconds: Sequence[float], choice: LanguageChoice
) -> list[str]:
    """Return the language of each snippet: its code, one of the choice's.

    `heard` has the chances that a model gave for each snippet, in order, and `seconds` its length.
    """
    if not heard:
        return []
    allowed = choice.allowed
    speaks = [
        _evidence(restricted(chances, allowed), length)
        for chances, length in zip(heard, seconds, strict=True)
    ]
    first = {
        code: (_PRIOR_COST if choice.prior not in (None, code) else 0.0) - speaks[0][code]
        for code in allowed
    }
    costs, backwards = first, []
    for snippet in speaks[1:]:
        cheapest = min(allowed, key=costs.__getitem__)
        before = {
            code: code if costs[code] <= costs[cheapest] + CHANGE_COST else cheapest
            for code in allowed
        }
        backwards.append(before)
        costs = {
            code: costs[before[code]] + CHANGE_COST * (before[code] != code) - snippet[code]
            for code in allowed
        }
    found = [min(allowed, key=costs.__getitem__)]
    for before in reversed(backwards):
        found.append(before[found[-1]])
    return found[::-1]


def borders(languages: Sequence[str]) -> list[int]:
    """Return the numbers of the snippets that are in another language than the one before."""
    return [index for index, (one, other) in enumerate(pairwise(languages), 1) if one != other]


def _evidence(chances: Chances, seconds: float) -> dict[str, float]:
    """Return the logarithm of each language's chance, less of it for a short snippet."""
    weight = min(1.0, seconds / FULL_WEIGHT_SECONDS)
    return {code: weight * math.log(max(chance, LEAST_CHANCE)) for code, chance in chances.items()}

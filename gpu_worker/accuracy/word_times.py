"""Where words start and end against a reference, and how far off that is.

Pure: words in, errors in seconds out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from gpu_worker.accuracy.normaliser import normalised
from gpu_worker.transcript import Word


@dataclass(frozen=True, slots=True)
class Token:
    """A normalised word with the times that are known of it.

    `ill-disposed` becomes two tokens: the first has its start, the last has its end.
    """

    text: str
    start: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class TimeErrors:
    """Seconds by which the words that both sides have are late (+) or early (−)."""

    starts: tuple[float, ...]
    ends: tuple[float, ...]
    words: int  # of the reference

    def __add__(self, other: TimeErrors) -> TimeErrors:
        return TimeErrors(
            self.starts + other.starts, self.ends + other.ends, self.words + other.words
        )


NO_ERRORS = TimeErrors((), (), 0)


def time_errors(reference: Sequence[Word], heard: Sequence[Word], language: str) -> TimeErrors:
    """Compare the times of the words that both have, in order; others are left out."""
    true, ours = tokens(reference, language), tokens(heard, language)
    matcher = SequenceMatcher(
        None, [token.text for token in true], [token.text for token in ours], autojunk=False
    )
    starts: list[float] = []
    ends: list[float] = []
    for at_true, at_ours, count in matcher.get_matching_blocks():
        for step in range(count):
            one, other = true[at_true + step], ours[at_ours + step]
            if one.start is not None and other.start is not None:
                starts.append(other.start - one.start)
            if one.end is not None and other.end is not None:
                ends.append(other.end - one.end)
    return TimeErrors(tuple(starts), tuple(ends), len(true))


def tokens(words: Sequence[Word], language: str) -> list[Token]:
    """Return words as the normaliser writes them; one can become several or none."""
    found: list[Token] = []
    for word in words:
        parts = normalised(word.word, language).split()
        for number, part in enumerate(parts):
            start = word.start if number == 0 else None
            end = word.end if number == len(parts) - 1 else None
            found.append(Token(part, start, end))
    return found


@dataclass(frozen=True, slots=True)
class Spread:
    """How errors are spread, in seconds."""

    count: int
    signed_median: float
    median: float  # of the absolute errors
    p95: float  # 95 % of the absolute errors are at most this


def spread(errors: Sequence[float]) -> Spread:
    """Return how the errors are spread; NaN for no errors at all."""
    if not errors:
        return Spread(0, float("nan"), float("nan"), float("nan"))
    values = np.array(errors)
    sizes = np.abs(values)
    return Spread(
        len(errors),
        float(np.median(values)),
        float(np.median(sizes)),
        float(np.quantile(sizes, 0.95)),
    )

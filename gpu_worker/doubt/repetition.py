"""Find text that repeats itself: the same few words again and again, without a break. Pure.

zlib's ratio, which openai/whisper looks at, sees only long repetitions, and takes lists for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import regex

LONGEST_PHRASE = 40  # words; more do not come back within a window
# How often a phrase of so many words stands in a row before it counts. People say a short one
# three times, and they say a sentence twice, but hardly ever a long one.
_LEAST_TIMES = {1: 5, 2: 4, 3: 3, 4: 3, 5: 3, 6: 3, 7: 3}
_LEAST_TIMES_OF_LONG = 2  # phrases of eight words and more

_NO_LETTER = regex.compile(r"[\p{P}\p{S}\s]+")


@dataclass(frozen=True, slots=True)
class Repetition:
    """A phrase that stands several times in a row."""

    first: int  # its first word
    words: int  # of the phrase
    times: int

    @property
    def end(self) -> int:
        """The word behind the last time."""
        return self.first + self.words * self.times


def spoken_form(word: str) -> str:
    """Return a word as it is said: in lower case, without marks."""
    return _NO_LETTER.sub("", word).casefold()


def find_repetitions(words: Sequence[str]) -> list[Repetition]:
    """Find the phrases that stand in a row too often, in order; they do not overlap.

    Of a repetition that can be read in several ways the shortest phrase is returned.
    """
    said = [spoken_form(word) for word in words]
    found: list[Repetition] = []
    at = 0
    while at < len(said):
        longest = min(LONGEST_PHRASE, (len(said) - at) // 2)
        here = next(
            (
                Repetition(at, size, times)
                for size in range(1, longest + 1)
                if (times := _times(said, at, size)) >= least_times(size)
                and any(said[at : at + size])
            ),
            None,
        )
        found += [here] if here else []
        at = here.end if here else at + 1
    return found


def least_times(words: int) -> int:
    """Return how often a phrase of so many words must stand in a row to count."""
    return _LEAST_TIMES.get(words, _LEAST_TIMES_OF_LONG)


def _times(said: Sequence[str], at: int, size: int) -> int:
    """Return how often the phrase of `size` words from `at` on stands in a row."""
    times = 1
    while said[at + times * size : at + (times + 1) * size] == said[at : at + size]:
        times += 1
    return times

"""Find the gaps of a window: time without words, which its text passes over.

A model may stop in the middle of a window although it is sure of its text; the only sign is time
without words. Cross-attention gives each word a start and lets it last until the next one, so the
time shows behind the last word, before the first, or inside a word that is too long. Pure: the
caller uses speech detection to find out whether there is speech in a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpu_worker.transcript import Word

SHORTEST_SECONDS = 1.5  # of a gap; less is a breath, or a word that is dragged out
# How long a word may take: nearly all words of read and of free speech take less.
_WORD_SECONDS, _CHARACTER_SECONDS, _DIGIT_SECONDS = 0.6, 0.15, 0.6


@dataclass(frozen=True, slots=True)
class Gap:
    """Time without words inside a window; seconds from the window's start."""

    start: float
    end: float
    words: int  # of the window, before it


def find_gaps(words: Sequence[Word], seconds: float) -> list[Gap]:
    """Find where a window of `seconds` has no words, in order.

    `words` are all of its text's, with times from the window's start.
    """
    edges: list[tuple[float, float]] = []
    for index, word in enumerate(words):
        length = min(word.end - word.start, longest_seconds(word.word))
        # The first word's time begins with the window, also if it is said later: only its end is
        # right.
        edges.append(
            (word.end - length, word.end) if index == 0 else (word.start, word.start + length)
        )
    ends = [0.0, *(end for _, end in edges)]
    starts = [*(start for start, _ in edges), seconds]
    return [
        Gap(start, end, number)
        for number, (start, end) in enumerate(zip(ends, starts, strict=True))
        if end - start >= SHORTEST_SECONDS
    ]


def longest_seconds(word: str) -> float:
    """Return the most seconds that it may take to say a word."""
    digits = sum(character.isdigit() for character in word)
    return _WORD_SECONDS + digits * _DIGIT_SECONDS + (len(word) - digits) * _CHARACTER_SECONDS

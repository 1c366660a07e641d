"""From the words of a window to lines that people read.

Cross-attention gives each word a start and lets it last until the next one, so a
word before a pause seems to fill it. The window's spans say where the speech was,
and where each lies in the chunk. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gpu_worker.transcript import Word

PAUSE_SECONDS = 0.5  # a silence that ends a line
SENTENCE_ENDS = (".", "?", "!", "。", "？", "！", "…")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span of speech inside a window; all in seconds."""

    start: float  # in the window
    end: float
    shift: float  # from the window's time to the chunk's


def place_words(words: Sequence[Word], stretches: Sequence[Stretch]) -> tuple[Word, ...]:
    """Put each word into the stretch that it overlaps most, in the chunk's time."""
    return tuple(_place(word, stretches) for word in words)


def split_lines(words: Sequence[Word]) -> tuple[tuple[Word, ...], ...]:
    """Cut where a sentence ends or somebody pauses."""
    if not words:
        return ()
    lines: list[list[Word]] = [[words[0]]]
    for before, word in pairwise(words):
        if before.word.endswith(SENTENCE_ENDS) or word.start - before.end >= PAUSE_SECONDS:
            lines.append([])
        lines[-1].append(word)
    return tuple(tuple(line) for line in lines)


def _place(word: Word, stretches: Sequence[Stretch]) -> Word:
    best = max(stretches, key=lambda stretch: _overlap(word, stretch))
    start = min(max(word.start, best.start), best.end)
    end = max(start, min(word.end, best.end))
    return replace(word, start=start + best.shift, end=end + best.shift)


def _overlap(word: Word, stretch: Stretch) -> float:
    """Negative: how far apart they are."""
    return min(word.end, stretch.end) - max(word.start, stretch.start)

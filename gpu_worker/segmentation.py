"""From the words of a window to lines that people read.

Cross-attention gives each word a start and lets it last until the next one, so a
word before a pause seems to fill it. The speech spans say where the pause is.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from gpu_worker.transcript import Word

PAUSE_SECONDS = 0.5  # a silence that ends a line
SENTENCE_ENDS = (".", "?", "!", "。", "？", "！", "…")

Interval = tuple[float, float]  # seconds


def fit_to_speech(words: Sequence[Word], speech: Sequence[Interval]) -> tuple[Word, ...]:
    """Clip each word to the span of speech that it overlaps most."""
    return tuple(_clip(word, speech) for word in words)


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


def _clip(word: Word, speech: Sequence[Interval]) -> Word:
    best = max(speech, key=lambda span: _overlap(word, span), default=None)
    if best is None or _overlap(word, best) <= 0:
        return word
    return replace(word, start=max(word.start, best[0]), end=min(word.end, best[1]))


def _overlap(word: Word, span: Interval) -> float:
    return min(word.end, span[1]) - max(word.start, span[0])

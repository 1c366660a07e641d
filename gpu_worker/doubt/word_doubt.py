"""Estimate how likely a word is wrong, by the probability that the engine gave it. Pure."""

from __future__ import annotations

import math
from dataclasses import replace

from gpu_worker.doubt.thresholds import NOTED_DOUBT, SCORE_INTERCEPT, SCORE_SLOPE
from gpu_worker.transcript import Word

_LEAST, _MOST = 0.001, 0.999  # of a score


def word_doubt(score: float) -> float:
    """Return the probability that a word with this score is wrong."""
    inside = min(max(score, _LEAST), _MOST)
    odds = math.log(inside / (1.0 - inside))
    return 1.0 / (1.0 + math.exp(SCORE_INTERCEPT + SCORE_SLOPE * odds))


def doubted(word: Word) -> Word:
    """Return an engine's word with its doubt, if that is worth noting.

    Most words are likely right; without a note on each the transcript stays small.
    """
    doubt = round(word_doubt(word.score), 2)
    return replace(word, doubt=doubt) if doubt >= NOTED_DOUBT else word

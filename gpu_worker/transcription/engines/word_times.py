"""Make the timed words of a window from the times of its tokens.

Cross-attention gives each token a start, in steps of 20 ms. A word takes the time from its
first sounding token's start to its last one's end. Pure, but for the tokenizer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper.tokenizer import Tokenizer

from gpu_worker.transcript import Word
from gpu_worker.words import Place, sounding_part, split_words

FRAMES_PER_SECOND = 50  # of the encoder's states, 20 ms each
# Seconds to add to the times of a model's cross-attention, which points too early or too late by a
# constant of its own (`python -m benchmarks.words.word_offsets`). No other model was measured.
MODEL_OFFSETS = {"base": 0.065, "tiny.en": -0.1}


@dataclass(frozen=True, slots=True)
class TokenTimes:
    """The times and probabilities of a window's tokens, from the model's cross-attention."""

    edges: Sequence[float]  # seconds at which each token starts, and the last one's end
    probabilities: Sequence[float]


def token_times(
    path: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    probabilities: Sequence[float],
    seconds: float,
    offset: float,
) -> TokenTimes:
    """Return the times of tokens by a path through cross-attention, in a window of this length.

    The path has rows (tokens, from 0) and frames of 20 ms, in pairs. The last row is that of the
    token that ends the text, so its first frame is where the text ends.
    """
    rows, frames = path
    begins = np.diff(rows, prepend=-1) > 0
    edges = frames[begins] / FRAMES_PER_SECOND + offset
    return TokenTimes(np.clip(edges, 0.0, seconds).tolist(), probabilities)


@dataclass(frozen=True, slots=True)
class _Unit:
    """The fewest tokens that together are whole characters, with their time in seconds."""

    place: Place  # its characters in the window's text, without white space around them
    start: float
    end: float
    score: float


def time_words(
    tokenizer: Tokenizer, tokens: Sequence[int], text: str, times: TokenTimes, seconds: float
) -> tuple[Word, ...]:
    """Split `text` into words, and time each in seconds from the window's start.

    `text` is the text of `tokens`, without white space around it; the words are all of it.
    `seconds` is the window's length.
    """
    units = _units(tokenizer, tokens, text, times)
    if not units:
        return ()
    ends = [unit.place[1] for unit in units]
    words: list[Word] = []
    earliest = 0.0
    for place in split_words(text):
        first, last = sounding_part(text, place)
        begin = min(bisect_right(ends, first), len(units) - 1)
        stop = min(bisect_right(ends, last - 1), len(units) - 1)
        start = min(max(_time_at(units[begin], first), earliest), seconds)
        end = min(max(_time_at(units[stop], last), start), seconds)
        score = float(np.mean([unit.score for unit in units[begin : stop + 1]]))
        words.append(Word(text[slice(*place)], start, end, score))
        earliest = start
    return tuple(words)


def _units(
    tokenizer: Tokenizer, tokens: Sequence[int], text: str, times: TokenTimes
) -> list[_Unit]:
    """Return the text's units in order. Characters that are cut off at its end belong to none."""
    written, groups = tokenizer.split_tokens_on_unicode(list(tokens))
    whole = "".join(written)
    lead = len(whole) - len(whole.lstrip())
    edges = [0, *accumulate(map(len, groups))]
    begins = accumulate(map(len, written), initial=0)
    units: list[_Unit] = []
    for piece, begin, (first, end) in zip(written, begins, pairwise(edges), strict=False):
        if not piece.strip():
            continue
        start = begin - lead + len(piece) - len(piece.lstrip())
        units.append(
            _Unit(
                (start, min(start + len(piece.strip()), len(text))),
                times.edges[first],
                times.edges[end],
                float(np.mean(times.probabilities[first:end])),
            )
        )
    return units


def _time_at(unit: _Unit, character: int) -> float:
    """Return the seconds at which a character of the unit begins.

    For the place behind its last character it is the unit's end.
    """
    first, last = unit.place
    share = min(max((character - first) / max(last - first, 1), 0.0), 1.0)
    return unit.start + share * (unit.end - unit.start)

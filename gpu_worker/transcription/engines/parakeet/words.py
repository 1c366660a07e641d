"""Make words with times and scores of the tokens that a model writes. Pure.

A token has one time, that of the frame in which it was written, and tokens know no end. So a word
lasts until the next one begins, at most as long as it may take to say it; the pauses in the sound
decide the rest (`word_edges`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gpu_worker.transcript import Word
from gpu_worker.transcription.unheard import longest_seconds


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text as a model wrote it."""

    text: str  # with a space in front where a word begins
    start: float  # seconds from the window's start
    logprob: float


@dataclass(frozen=True, slots=True)
class _Written:
    """A word of the text and its tokens."""

    text: str
    tokens: tuple[Token, ...]


def timed_words(text: str, tokens: Sequence[Token], seconds: float) -> tuple[Word, ...]:
    """Return the words of `text`, in order, with times inside a window of `seconds`.

    The characters of the tokens are those of the text, but for spaces, which a model may write
    before marks and a text has not. A word's score is the mean probability of its tokens.
    """
    written = _written(text, tokens)
    if not written:
        return ()
    starts = [min(max(word.tokens[0].start, 0.0), seconds) for word in written]
    for index, (before, start) in enumerate(pairwise(starts), 1):
        starts[index] = max(before, start)
    ends = [*starts[1:], seconds]
    return tuple(
        Word(
            word.text,
            start,
            min(end, start + longest_seconds(word.text)),
            sum(math.exp(min(token.logprob, 0.0)) for token in word.tokens) / len(word.tokens),
        )
        for word, start, end in zip(written, starts, ends, strict=True)
    )


def mean_logprob(tokens: Sequence[Token]) -> float:
    """Return the mean log probability of a text's tokens; 0 without tokens."""
    return sum(token.logprob for token in tokens) / len(tokens) if tokens else 0.0


def _written(text: str, tokens: Sequence[Token]) -> list[_Written]:
    """Give each word of the text the tokens that its characters came from."""
    owners = [token for token in tokens for character in token.text if not character.isspace()]
    found: list[_Written] = []
    place = 0
    for word in text.split():
        own = owners[place : place + len(word)]
        place += len(word)
        if own:
            found.append(_Written(word, tuple({id(token): token for token in own}.values())))
    return found

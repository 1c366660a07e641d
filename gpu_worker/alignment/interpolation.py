"""Give times to the words that no model could time: between their neighbours, and flagged.

Every word of a transcript has a time; `Word.interpolated` says that it is a guess. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from gpu_worker.transcript import Word


@dataclass(frozen=True, slots=True)
class WordTime:
    """The time at which a word was said, in seconds from the window's start."""

    start: float
    end: float
    score: float  # probability in 0..1
    is_guess: bool = False  # the model knows no character of it, so that any sound would do


def complete_words(
    words: Sequence[str], times: Sequence[WordTime | None], seconds: float
) -> tuple[Word, ...]:
    """Give each word its time, and words without one the time between their neighbours.

    `times` holds one entry for each word, `seconds` is the window's length. Several words
    without a time share it by their lengths.
    """
    found: list[Word] = []
    pairs = zip(words, times, strict=True)
    runs = [(timed, list(run)) for timed, run in groupby(pairs, key=lambda pair: pair[1] is None)]
    for index, (untimed, run) in enumerate(runs):
        if not untimed:
            found += [
                Word(word, time.start, time.end, time.score, interpolated=time.is_guess)
                for word, time in run
                if time
            ]
            continue
        after = runs[index + 1][1][0][1] if index + 1 < len(runs) else None
        begin = found[-1].end if found else 0.0
        end = max(begin, after.start if after else seconds)
        found += [
            Word(word, time.start, time.end, time.score, interpolated=True)
            for (word, _), time in zip(
                run, spread_evenly([word for word, _ in run], begin, end), strict=True
            )
        ]
    return tuple(found)


def spread_evenly(words: Sequence[str], begin: float, end: float) -> list[WordTime]:
    """Divide the seconds from `begin` to `end` among the words by their lengths; scores are 0."""
    if not words:
        return []
    shares = [0, *accumulate(max(1, len(word)) for word in words)]
    scale = (end - begin) / shares[-1]
    edges = [begin + share * scale for share in shares[:-1]] + [end]
    return [WordTime(start, stop, 0.0) for start, stop in pairwise(edges)]

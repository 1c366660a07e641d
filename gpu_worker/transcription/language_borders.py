"""Move each change of language to where it is heard.

Speech is cut at quiet places before it is known where its language changes, so a change without a
pause lies inside one of the two snippets beside it. Both are cut into slices. A slice is too short
for the model to tell its language, so it is judged by the speech around it; the border is where
what is before it speaks best for the first language, and what is behind it for the second. A
change at a pause stays there, unless what is heard speaks clearly against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcription.language_runs import FULL_WEIGHT_SECONDS, LEAST_CHANCE, Chances
from gpu_worker.transcription.quiet_cuts import pieces

# Chosen as those of `language_runs.py`. Shorter slices were no better; with 3 s around them a
# change without a pause is hardly moved, and with 1.5 s some were moved away from a pause.
LONGEST_SLICE_SECONDS = 1.0
HEARD_SECONDS = 2.0  # around the middle of a slice
# Of moving a change away from a pause, as a natural logarithm of a probability. Without it, changes
# at pauses of the mixtures were moved away from them; 2 and 5 were about the same.
LEAVING_COST = 5.0

Hear = Callable[[Sequence[Audio]], Sequence[Chances]]


class Part(NamedTuple):
    """A part of a span of speech."""

    origin: int  # the span's number: no pause is between two parts of one span
    span: Span


Run = tuple[str, list[Part]]  # a language's code, and the parts that follow each other in it


def language_runs(
    audio: Audio, parts: Sequence[Part], languages: Sequence[str], hear: Hear
) -> list[Run]:
    """Return the runs of one language each, where each of the parts has one of the languages.

    `audio` is what the spans count in; `hear` tells how likely each language is in parts of it.
    """
    runs = [
        (language, [part for _, part in group])
        for language, group in groupby(zip(languages, parts, strict=True), key=itemgetter(0))
    ]
    for (first, before), (second, behind) in pairwise(runs):
        one, other = before[-1], behind[0]
        sliced, heard = _listened(audio, one, other, hear)
        pause = None if one.origin == other.origin else _count(sliced, one.origin)
        at = border([part.span.seconds for part in sliced], heard, (first, second), pause)
        before[-1:], behind[:1] = joined(sliced[:at]), joined(sliced[at:])
    return runs


def border(
    seconds: Sequence[float],
    heard: Sequence[Chances],
    languages: tuple[str, str],
    pause: int | None = None,
) -> int:
    """Return the number of the first slice in the second language; at least one is before it.

    Of each slice, `seconds` has the length, and `heard` the chances of languages around it. The
    slice `pause` is the first one behind a pause. Pure.
    """
    first, second = languages
    gains = [
        length * (_log(chances, first) - _log(chances, second)) / FULL_WEIGHT_SECONDS
        for length, chances in zip(seconds, heard, strict=True)
    ]
    speaks = dict(enumerate(accumulate(gains[:-1]), 1))  # for a border at each slice
    if pause is not None:
        speaks[pause] += LEAVING_COST / 2
    return max(speaks, key=speaks.__getitem__)


def joined(parts: Sequence[Part]) -> list[Part]:
    """Join parts of one span that follow each other. Pure."""
    return [
        Part(origin, Span((own := [part.span for part in group])[0].start, own[-1].end))
        for origin, group in groupby(parts, key=lambda part: part.origin)
    ]


def _listened(
    audio: Audio, one: Part, other: Part, hear: Hear
) -> tuple[list[Part], Sequence[Chances]]:
    """Return the slices of two neighbouring parts, and what is heard around each slice."""
    is_one = one.origin == other.origin
    whole = Span(one.span.start, other.span.end)
    sliced, around = [], []
    for part in (one, other):
        for span in pieces(audio, part.span, LONGEST_SLICE_SECONDS):
            sliced.append(Part(part.origin, span))
            around.append(_around(span, whole if is_one else part.span))
    return sliced, hear([audio[span.start : span.end] for span in around])


def _count(parts: Sequence[Part], origin: int) -> int:
    return sum(part.origin == origin for part in parts)


def _around(one: Span, within: Span) -> Span:
    """Return HEARD_SECONDS around the middle of a slice, or all that is within this span."""
    length = min(int(HEARD_SECONDS * SAMPLE_RATE), within.samples)
    start = (one.start + one.end - length) // 2
    start = min(max(start, within.start), within.end - length)
    return Span(start, start + length)


def _log(chances: Chances, language: str) -> float:
    return math.log(max(chances.get(language, 0.0), LEAST_CHANCE))

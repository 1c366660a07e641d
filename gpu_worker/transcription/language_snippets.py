"""Cut speech into windows of one language each.

Speech is cut into snippets of some seconds, the model says of each how likely each language is,
and `language_runs.py` decides. A snippet in which the language changes is halved at its quietest
place, and each half is heard again. A file of one language is packed into the windows that it
would have had anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcription.language_runs import (
    Chances,
    LanguageChoice,
    borders,
    restricted,
    spoken_languages,
)
from gpu_worker.transcription.windows import Window, pack_windows

LONGEST_SNIPPET_SECONDS = 5.0
SURE = 0.8  # a snippet whose language is as likely as this is all of one language
_HALVED_SECONDS = 2.0  # a shorter snippet is not halved: the model judges less than a second badly
_HALVINGS = 2  # so a snippet of 5 s has parts of about a second at last
_QUIET_SAMPLES = SAMPLE_RATE // 10  # the quietest place is one of this length

Hear = Callable[[Sequence[Audio]], Sequence[Chances]]


@dataclass(frozen=True, slots=True)
class _Snippet:
    """A part of a span of speech."""

    span: Span
    origin: int  # the number of the span that it is a part of
    heard: Chances

    @property
    def seconds(self) -> float:
        return self.span.seconds

    def follows(self, other: _Snippet) -> bool:
        """Tell whether both are of the same span, so that no pause parts them."""
        return self.origin == other.origin


def language_windows(
    audio: Audio, spans: Sequence[Span], hear: Hear, choice: LanguageChoice, max_samples: int
) -> tuple[Window, ...]:
    """Pack spans of speech into windows of at most `max_samples`, each of one language.

    `audio` is what the spans count in; `hear` tells how likely each language is in snippets of it.
    """
    if len(choice.allowed) == 1:
        only = choice.allowed[0]
        return tuple(replace(one, language=only) for one in pack_windows(spans, max_samples))

    def listened(parts: Sequence[tuple[int, Span]]) -> list[_Snippet]:
        heard = hear([audio[span.start : span.end] for _, span in parts])
        return [
            _Snippet(span, origin, restricted(chances, choice.allowed))
            for (origin, span), chances in zip(parts, heard, strict=True)
        ]

    snippets = listened(
        [(number, part) for number, span in enumerate(spans) for part in _parts(audio, span)]
    )
    for _ in range(_HALVINGS):
        mixed = _mixed(snippets, _languages(snippets, choice))
        if not mixed:
            break
        halves = [
            (snippets[index].origin, half)
            for index in sorted(mixed)
            for half in _halves(audio, snippets[index].span)
        ]
        heard = iter(listened(halves))
        snippets = [
            part
            for index, snippet in enumerate(snippets)
            for part in ((next(heard), next(heard)) if index in mixed else (snippet,))
        ]
    languages = _languages(snippets, choice)
    return tuple(
        replace(window, language=language)
        for language, group in groupby(
            zip(languages, snippets, strict=True), key=lambda pair: pair[0]
        )
        for window in pack_windows(_joined([snippet for _, snippet in group]), max_samples)
    )


def _languages(snippets: Sequence[_Snippet], choice: LanguageChoice) -> list[str]:
    heard, seconds = (
        [snippet.heard for snippet in snippets],
        [snippet.seconds for snippet in snippets],
    )
    return spoken_languages(heard, seconds, choice)


def _mixed(snippets: Sequence[_Snippet], languages: Sequence[str]) -> set[int]:
    """Return the numbers of the snippets that may hold a change of language.

    These are both sides of a change without a pause, and at other changes, and wherever else the
    model is not sure, the snippets that are long enough to be mixed.
    """
    found = {
        index for index, (snippet, language) in enumerate(zip(snippets, languages, strict=True))
        if snippet.heard[language] < SURE and snippet.seconds >= 2 * _HALVED_SECONDS
    }  # fmt: skip
    for second in borders(languages):
        for index in (second - 1, second):
            is_sure = snippets[index].heard[languages[index]] >= SURE
            if snippets[second].follows(snippets[second - 1]) or not is_sure:
                found.add(index)
    return {index for index in found if snippets[index].seconds >= _HALVED_SECONDS}


def _parts(audio: Audio, span: Span) -> list[Span]:
    """Cut a span into snippets that are short enough, at quiet places."""
    if span.seconds <= LONGEST_SNIPPET_SECONDS:
        return [span]
    return [part for half in _halves(audio, span) for part in _parts(audio, half)]


def _halves(audio: Audio, span: Span) -> tuple[Span, Span]:
    """Cut a span in two at the quietest place in its middle third."""
    first = span.start + span.samples // 3
    middle = audio[first : span.end - span.samples // 3]
    count = max(1, len(middle) // _QUIET_SAMPLES)
    length = len(middle) // count
    levels = np.square(middle[: count * length]).reshape(count, length).sum(axis=1)
    cut = first + int(levels.argmin()) * length + length // 2
    return Span(span.start, cut), Span(cut, span.end)


def _joined(snippets: Sequence[_Snippet]) -> list[Span]:
    """Join the snippets of each span again."""
    return [
        Span((own := [snippet.span for snippet in group])[0].start, own[-1].end)
        for _, group in groupby(snippets, key=lambda snippet: snippet.origin)
    ]

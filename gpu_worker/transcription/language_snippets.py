"""Cut speech into windows of one language each.

Speech is cut into snippets of some seconds, the model says of each how likely each language is,
and `language_runs.py` decides. A snippet in which the language changes is halved at its quietest
place, and each half is heard again; at last `language_borders.py` moves each change to where it is
heard. A file of one language is packed into the windows that it would have had anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import Span
from gpu_worker.transcription.language_borders import Hear, Part, joined, language_runs
from gpu_worker.transcription.language_runs import (
    Chances,
    LanguageChoice,
    borders,
    restricted,
    spoken_languages,
)
from gpu_worker.transcription.quiet_cuts import halves, pieces
from gpu_worker.transcription.windows import Window, pack_windows

LONGEST_SNIPPET_SECONDS = 5.0
SURE = 0.8  # a snippet whose language is as likely as this is all of one language
_HALVED_SECONDS = 2.0  # a shorter snippet is not halved: the model judges less than a second badly
_HALVINGS = 2  # so a snippet of 5 s has parts of about a second at last


@dataclass(frozen=True, slots=True)
class _Snippet:
    """A part of speech, and how likely each language is in it."""

    part: Part
    heard: Chances

    @property
    def seconds(self) -> float:
        return self.part.span.seconds


def language_windows(
    audio: Audio, spans: Sequence[Span], hear: Hear, choice: LanguageChoice, max_samples: int
) -> tuple[Window, ...]:
    """Pack spans of speech into windows of at most `max_samples`, each of one language.

    `audio` is what the spans count in; `hear` tells how likely each language is in snippets of it.
    """
    if len(choice.allowed) == 1:
        only = choice.allowed[0]
        return tuple(replace(one, language=only) for one in pack_windows(spans, max_samples))

    def listened(parts: Sequence[Part]) -> list[_Snippet]:
        heard = hear([audio[part.span.start : part.span.end] for part in parts])
        return [
            _Snippet(part, restricted(chances, choice.allowed))
            for part, chances in zip(parts, heard, strict=True)
        ]

    snippets = listened(
        [
            Part(number, piece)
            for number, span in enumerate(spans)
            for piece in pieces(audio, span, LONGEST_SNIPPET_SECONDS)
        ]
    )
    for _ in range(_HALVINGS):
        mixed = _mixed(snippets, _languages(snippets, choice))
        if not mixed:
            break
        halved = [snippets[index].part for index in sorted(mixed)]
        parts = [Part(one.origin, half) for one in halved for half in halves(audio, one.span)]
        heard = iter(listened(parts))
        snippets = [
            part
            for index, snippet in enumerate(snippets)
            for part in ((next(heard), next(heard)) if index in mixed else (snippet,))
        ]
    languages = _languages(snippets, choice)
    parts = [snippet.part for snippet in snippets]
    return tuple(
        replace(window, language=language)
        for language, own in language_runs(audio, parts, languages, hear)
        for window in pack_windows([part.span for part in joined(own)], max_samples)
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
        is_one_span = snippets[second].part.origin == snippets[second - 1].part.origin
        for index in (second - 1, second):
            is_sure = snippets[index].heard[languages[index]] >= SURE
            if is_one_span or not is_sure:
                found.add(index)
    return {index for index in found if snippets[index].seconds >= _HALVED_SECONDS}

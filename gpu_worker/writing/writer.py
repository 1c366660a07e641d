"""Write segments, and whole transcripts, by rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import regex

from gpu_worker.transcript import Alternative, Segment, Transcript, TranscriptWarning, Word
from gpu_worker.words import word_places
from gpu_worker.writing import number_spelling, words_to_digits
from gpu_worker.writing.digits_to_words import SENTENCE_ENDS, spelled_numbers
from gpu_worker.writing.edits import Edit, edited, edited_text
from gpu_worker.writing.phrases import Phrases
from gpu_worker.writing.rules import WritingRules
from gpu_worker.writing.tokens import Token, tokens_of
from gpu_worker.writing.words_to_digits import numbers_in

NUMBERS_IN_WORDS = "numbers_in_words"
NUMBERS_IN_DIGITS = "numbers_in_digits"
# By the form that is asked for: the languages that have it, and what is told of the others.
_FORMS = {
    "digits": (words_to_digits.LANGUAGES, NUMBERS_IN_WORDS),
    "words": (number_spelling.LANGUAGES, NUMBERS_IN_DIGITS),
}
_RUN = regex.compile(r"[^\s\-‐‑]+")  # what is masked as one word
_CLUSTER = regex.compile(r"\X")
_QUOTING = frozenset({"invented_text"})  # warnings with what the model wrote


class Writer:
    """Writes segments by rules. Replacements come first; nothing is changed twice."""

    def __init__(self, rules: WritingRules, language: str | None = None) -> None:
        """Take the rules; `language`: of every text, as of a translation; None: its own."""
        self._rules = rules
        self._language = language
        self._heard = Phrases(heard for heard, _ in rules.replacements)
        self._masked = Phrases(rules.masked, with_endings=True)

    def transcript(self, heard: Transcript) -> Transcript:
        """Return a transcript as it is to be written."""
        segments = tuple(self.segments(heard.segments, heard.language))
        written = {self._language or it.language or heard.language for it in segments}
        known, code = _FORMS.get(self._rules.numbers, (written, ""))
        unchanged = written - known - {None}
        warnings = tuple(map(self._warning, heard.warnings))
        if unchanged:
            named = ", ".join(sorted(map(str, unchanged)))
            warnings += (
                TranscriptWarning(
                    code,
                    f"Numbers stay as they were heard: their grammar in {named} is not known.",
                ),
            )
        return replace(heard, segments=segments, warnings=warnings)

    def segments(self, heard: Iterable[Segment], language: str | None) -> list[Segment]:
        """Return segments as they are to be written; `language` is that of those without one."""
        written: list[Segment] = []
        before = ""  # what was heard before a segment
        for it in heard:
            is_start = not before or before.endswith(SENTENCE_ENDS)
            written.append(self._segment(it, self._language or it.language or language, is_start))
            before = it.text.rstrip() or before
        return written

    def _segment(self, heard: Segment, language: str | None, is_start: bool) -> Segment:
        edits = self._edits(heard.text, heard.words, language, is_start)
        segment = edited(heard, edits)
        if segment.alternatives:
            others = self._others(segment, language, is_start)
            segment = replace(segment, alternatives=tuple(others))
        if segment.flags and self._rules.masked:  # their messages name words
            flags = (replace(it, message=self._covered(it.message)) for it in segment.flags)
            segment = replace(segment, flags=tuple(flags))
        return segment if self._rules.keeps_spoken else _without_spoken(segment)

    def _warning(self, heard: TranscriptWarning) -> TranscriptWarning:
        if heard.code not in _QUOTING or not self._rules.masked:
            return heard
        return replace(heard, message=self._covered(heard.message))

    def _others(
        self, segment: Segment, language: str | None, is_start: bool
    ) -> Iterator[Alternative]:
        """Yield the other texts as they are written, without those that are written alike."""
        known = {_tokens(segment.text)}
        for other in segment.alternatives:
            text = edited_text(other.text, self._edits(other.text, (), language, is_start))
            if _tokens(text) not in known:
                known.add(_tokens(text))
                yield replace(other, text=text)

    def _covered(self, text: str) -> str:
        return edited_text(text, self._masks(text, tokens_of(text)))

    def _edits(
        self, text: str, words: tuple[Word, ...], language: str | None, is_start: bool
    ) -> list[Edit]:
        places = word_places(text, [word.word for word in words])
        tokens = tokens_of(text, words, places)
        edits = [
            Edit(
                tokens[it.first].start,
                tokens[it.last - 1].end,
                self._rules.replacements[it.phrase][1],
            )
            for it in self._heard.find(tokens)
        ]
        free = _outside(tokens, edits)
        edits += self._numbers(text, free, language, is_start)
        free = _outside(free, edits)
        edits += self._masks(text, free)
        return sorted(edits, key=lambda edit: edit.start)

    def _numbers(
        self, text: str, tokens: list[Token], language: str | None, is_start: bool
    ) -> Iterable[Edit]:
        if self._rules.numbers == "words":
            return spelled_numbers(text, tokens, language, is_start=is_start)
        if self._rules.numbers == "digits":
            return (
                Edit(tokens[it.first].start, tokens[it.last - 1].end, it.text)
                for it in numbers_in(tokens, language, self._rules.digits_from)
            )
        return ()

    def _masks(self, text: str, tokens: list[Token]) -> list[Edit]:
        found = [
            (tokens[it.first].start, tokens[it.last - 1].end) for it in self._masked.find(tokens)
        ]
        return [
            Edit(start, end, _RUN.sub(lambda run: self._mask(run[0]), text[start:end]))
            for start, end in found
        ]

    def _mask(self, word: str) -> str:
        letters = _CLUSTER.findall(word)
        shown = 1 if self._rules.mask_style == "first_letter" and len(letters) > 1 else 0
        return "".join(letters[:shown]) + "*" * (len(letters) - shown)


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(token.text for token in tokens_of(text))


def _outside(tokens: list[Token], edits: list[Edit]) -> list[Token]:
    """Return the tokens that no edit touches; one that follows an edit is joined to nothing."""
    taken = sorted((edit.start, edit.end) for edit in edits)
    free: list[Token] = []
    at, is_cut = 0, False
    for token in tokens:
        while at < len(taken) and taken[at][1] <= token.start:
            at += 1
        if at < len(taken) and taken[at][0] < token.end:
            is_cut = True
            continue
        free.append(replace(token, is_joined=False) if is_cut else token)
        is_cut = False
    return free


def _without_spoken(segment: Segment) -> Segment:
    if segment.spoken is None:
        return segment
    words = tuple(replace(word, spoken=None) for word in segment.words)
    return replace(segment, words=words, spoken=None)

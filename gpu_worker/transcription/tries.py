"""The ways to decode a window, one after the other, and which of their texts is taken. Pure.

Ways that give the same text each time come first. Sampling comes last: CTranslate2's generator
cannot be seeded, so a chunk that is computed again may get another text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import regex

from gpu_worker.doubt import thresholds
from gpu_worker.doubt.repetition import find_repetitions
from gpu_worker.doubt.signs import Surroundings, flags_of
from gpu_worker.doubt.word_doubt import doubted
from gpu_worker.transcript import Segment
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fallback import needs_fallback
from gpu_worker.transcription.lines import split_lines
from gpu_worker.words import split_words

GREEDY, BEAM, NO_REPEAT, SPLIT, SAMPLED = "greedy", "beam", "no_repeat", "split", "sampled"
BEAMS = 5  # of a try with beams, where the job has none
NO_REPEAT_TOKENS = 3  # which may not come twice
# The least letters of a text that is taken instead of another, as a share of the other's without
# its repetitions: a likelier text that leaves half of the speech out is no better.
LEAST_LETTERS = 0.6
# Signs in a text that passes Whisper's thresholds, for which it is decoded again.
DOUBTS = frozenset({thresholds.REPETITION, thresholds.TOO_FAST})
# Beams made 24 of 270 errors good that greedy texts with unlikely words had in 1,461 words; other
# ways made none good, and no way those of texts that had beams already.
DOUBTS_FOR_BEAMS = DOUBTS | {thresholds.UNLIKELY_WORDS}
_LETTERS = regex.compile(r"[\p{L}\p{N}]")


@dataclass(frozen=True, slots=True)
class Way:
    """A way to decode a window."""

    by: str
    options: DecodeOptions


@dataclass(frozen=True, slots=True)
class Try:
    """A text of a window, and how it was decoded."""

    by: str
    text: WindowText


def falls_back(options: DecodeOptions) -> bool:
    """Return whether the job wants windows decoded again, and begins with the likeliest text."""
    return len(options.temperatures) > 1 and options.temperatures[0] == 0.0


def own_way(options: DecodeOptions) -> Way:
    """Return the job's own way, without sampling if it begins without."""
    by = GREEDY if options.beam_size == 1 else BEAM
    return Way(by, replace(options, temperatures=(0.0,))) if falls_back(options) else Way(
        SAMPLED if options.temperatures[0] > 0.0 else by, options
    )  # fmt: skip


def sure_ways(engine: str, options: DecodeOptions) -> tuple[Way, ...]:
    """Return the further ways that give the same text each time, for a kind of engine.

    `torch` and others decode greedily alone.
    """
    if engine != "faster_whisper":
        return ()
    sure = replace(options, temperatures=(0.0,))
    beams = max(BEAMS, options.beam_size)
    other = Way(BEAM, replace(sure, beam_size=BEAMS)) if options.beam_size == 1 else Way(
        GREEDY, replace(sure, beam_size=1)
    )  # fmt: skip
    if options.no_repeat_ngram_size:
        return (other,)
    varied = replace(sure, beam_size=beams, no_repeat_ngram_size=NO_REPEAT_TOKENS)
    return other, Way(NO_REPEAT, varied)


def sampled_way(options: DecodeOptions) -> Way:
    """Return the last way: the job's temperatures above 0."""
    return Way(SAMPLED, replace(options, temperatures=options.temperatures[1:]))


def doubts_for(by: str) -> frozenset[str]:
    """Return the codes of the flags for which a text that passes is decoded in this way."""
    return {BEAM: DOUBTS_FOR_BEAMS, NO_REPEAT: DOUBTS, SPLIT: DOUBTS}.get(by, frozenset())


def fails(text: WindowText, options: DecodeOptions) -> bool:
    """Return whether a text fails Whisper's thresholds, so that the window is decoded again."""
    return bool(text.text) and needs_fallback(text, options)


def window_doubt(
    text: WindowText, seconds: float, language: str, codes: frozenset[str] = DOUBTS_FOR_BEAMS
) -> float:
    """Return how doubtful the worst line of a window is; 0 if none has a flag of these codes."""
    if not text.text:
        return 0.0
    words = tuple(map(doubted, text.words))
    whole = Segment(0.0, seconds, text.text, words, avg_logprob=text.avg_logprob)
    lines = split_lines(whole, language) if words else []
    flags = [flag for line in (whole, *lines) for flag in flags_of(line, Surroundings(language))]
    return max((flag.doubt for flag in flags if flag.code in codes), default=0.0)


def taken(tries: Sequence[Try], options: DecodeOptions, seconds: float) -> Try:
    """Return the try whose text is taken; the first is the job's own.

    A text that repeats itself comes behind all others, then one that is faster than people talk,
    then one that fails Whisper's thresholds; among equals the likeliest one is taken.
    """
    first = tries[0]
    least = LEAST_LETTERS * letters(without_repetitions(first.text.text))
    others = [one for one in tries[1:] if one.text.text and letters(one.text.text) >= least]
    return max((first, *others), key=lambda one: _rank(one.text, options, seconds))


def _rank(
    text: WindowText, options: DecodeOptions, seconds: float
) -> tuple[bool, bool, bool, float]:
    return (
        not is_repetitive(text.text),
        letters(text.text) <= thresholds.FASTEST_LETTERS * max(seconds, 1.0),
        not needs_fallback(text, options),
        text.avg_logprob,
    )


def is_repetitive(text: str) -> bool:
    """Return whether a text repeats a phrase too often."""
    return bool(find_repetitions(_words(text)))


def without_repetitions(text: str) -> str:
    """Return the words of a text with each repeated phrase once."""
    words = _words(text)
    kept: list[str] = []
    at = 0
    for found in find_repetitions(words):
        kept += words[at : found.first + found.words]
        at = found.end
    return " ".join([*kept, *words[at:]])


def letters(text: str) -> int:
    """Return how many letters and digits a text has."""
    return len(_LETTERS.findall(text))


def _words(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]

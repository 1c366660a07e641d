"""Look at a segment for signs that its text may be wrong. Pure.

Each sign is a function from a segment, and what is known around it, to a flag or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import regex

from gpu_worker.doubt import thresholds
from gpu_worker.doubt.repetition import find_repetitions
from gpu_worker.doubt.scripts import foreign_share, scripts_of
from gpu_worker.doubt.stock_phrases import is_stock_phrase
from gpu_worker.doubt.word_doubt import word_doubt
from gpu_worker.transcript import Flag, Segment, Turn
from gpu_worker.words import UNSPACED_LANGUAGES, split_words

NAMED_WORDS = 5  # of the doubtful ones of a segment, in a message
_LETTERS = regex.compile(r"[\p{L}\p{N}]")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the file around a segment."""

    language: str  # of the file; a segment may have its own
    turns: tuple[Turn, ...] = ()  # in order of their starts
    is_diarized: bool = False  # without turns: no speaker was heard at all
    is_aligned: bool = False  # an aligner looked for the words
    written: str | None = None  # the language of all text, where it is not that of the sound

    def language_of(self, segment: Segment) -> str:
        """Return the language in which a segment is written."""
        return self.written or segment.language or self.language


Sign = Callable[[Segment, Surroundings], Flag | None]


def flags_of(segment: Segment, around: Surroundings) -> tuple[Flag, ...]:
    """Return the flags of a segment, worst first."""
    found = [flag for sign in SIGNS if (flag := sign(segment, around))]
    return tuple(sorted(found, key=lambda flag: -flag.doubt))


def _unlikely_words(segment: Segment, around: Surroundings) -> Flag | None:
    doubts = [
        thresholds.RIGHT_DOUBT if word.doubt is None else word.doubt for word in segment.words
    ]
    if not doubts:  # a text without words is as likely as its window
        doubts = [word_doubt(math.exp(min(segment.avg_logprob, 0.0)))]
    mean = sum(doubts) / len(doubts)
    if mean < thresholds.UNLIKELY_MEAN:
        return None
    return Flag(
        thresholds.UNLIKELY_WORDS,
        round(mean, 2),
        f"The model was unsure: {mean:.0%} of these words are likely wrong.",
    )


def _doubtful_word(segment: Segment, around: Surroundings) -> Flag | None:
    doubtful = [
        word for word in segment.words if (word.doubt or 0.0) >= thresholds.DOUBTFUL_WORD_DOUBT
    ]
    if not doubtful:
        return None
    worst = max(word.doubt or 0.0 for word in doubtful)
    named = ", ".join(word.word for word in doubtful[:NAMED_WORDS])
    return Flag(
        thresholds.DOUBTFUL_WORD,
        round(worst * thresholds.DOUBTFUL_WORD_WEIGHT, 2),
        f"More likely wrong than right: {named}.",
    )


def _repetition(segment: Segment, around: Surroundings) -> Flag | None:
    words = [segment.text[start:end] for start, end in split_words(segment.text)]
    found = find_repetitions(words)
    if not found:
        return None
    worst = max(found, key=lambda one: one.words * one.times)
    phrase = " ".join(words[worst.first : worst.first + worst.words])
    return Flag(
        thresholds.REPETITION,
        thresholds.REPETITION_DOUBT,
        f"{phrase[:80]!r} stands {worst.times} times in a row.",
    )


def _too_fast(segment: Segment, around: Surroundings) -> Flag | None:
    letters = len(_LETTERS.findall(segment.text))
    seconds = segment.end - segment.start
    is_unspaced = around.language_of(segment) in UNSPACED_LANGUAGES
    most = thresholds.FASTEST_SYLLABLES if is_unspaced else thresholds.FASTEST_LETTERS
    if letters <= most * max(seconds, 1.0):
        return None
    return Flag(
        thresholds.TOO_FAST,
        thresholds.TOO_FAST_DOUBT,
        f"{letters} letters in {seconds:.1f} s are more than people say.",
    )


def _mostly_silence(segment: Segment, around: Surroundings) -> Flag | None:
    if segment.no_speech_prob <= thresholds.SILENCE_PROBABILITY:
        return None
    return Flag(
        thresholds.MOSTLY_SILENCE,
        round(segment.no_speech_prob, 2),
        "The model itself says that there is no speech.",
    )


def _no_speaker(segment: Segment, around: Surroundings) -> Flag | None:
    seconds = segment.end - segment.start
    if not around.is_diarized or seconds <= 0:
        return None
    heard = _covered(segment.start, segment.end, around.turns)
    if heard > (1 - thresholds.UNHEARD_SHARE) * seconds:
        return None
    return Flag(
        thresholds.NO_SPEAKER, thresholds.NO_SPEAKER_DOUBT, "No speaker is heard in this time."
    )


def _odd_script(segment: Segment, around: Surroundings) -> Flag | None:
    language = around.language_of(segment)
    share = foreign_share(segment.text, scripts_of(language))
    if share <= thresholds.FOREIGN_SHARE:
        return None
    return Flag(
        thresholds.ODD_SCRIPT,
        thresholds.ODD_SCRIPT_DOUBT,
        f"{share:.0%} of the letters are of a script that {language} is not written in.",
    )


def _not_placed(segment: Segment, around: Surroundings) -> Flag | None:
    guessed = sum(word.interpolated for word in segment.words)
    if not around.is_aligned or guessed <= thresholds.NOT_PLACED_SHARE * len(segment.words):
        return None
    return Flag(
        thresholds.NOT_PLACED,
        thresholds.NOT_PLACED_DOUBT,
        f"The aligner could not place {guessed} of {len(segment.words)} words.",
    )


def _unstable(segment: Segment, around: Surroundings) -> Flag | None:
    if segment.temperature < thresholds.UNSTABLE_TEMPERATURE:
        return None
    return Flag(
        thresholds.UNSTABLE,
        thresholds.UNSTABLE_DOUBT,
        f"Only a text sampled at temperature {segment.temperature:g} passed the thresholds.",
    )


def _stock_phrase(segment: Segment, around: Surroundings) -> Flag | None:
    if not is_stock_phrase(segment.text):
        return None
    return Flag(
        thresholds.STOCK_PHRASE,
        thresholds.STOCK_PHRASE_DOUBT,
        "Models write this phrase where nothing is said.",
    )


SIGNS: tuple[Sign, ...] = (
    _unlikely_words, _doubtful_word, _repetition, _too_fast, _mostly_silence, _no_speaker,
    _odd_script, _not_placed, _unstable, _stock_phrase,
)  # fmt: skip


def _covered(start: float, end: float, turns: Sequence[Turn]) -> float:
    """Return the seconds between two times in which one speaker or more is heard."""
    covered, at = 0.0, start
    for turn in turns:
        begin, stop = max(turn.start, at), min(turn.end, end)
        if stop > begin:
            covered, at = covered + stop - begin, stop
    return covered

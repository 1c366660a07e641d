from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_worker.doubt import thresholds
from gpu_worker.doubt.signs import SIGNS, Surroundings, flags_of
from gpu_worker.doubt.word_doubt import doubted
from gpu_worker.transcript import Segment, Turn, Word

ENGLISH = Surroundings("en")


def line(text: str, seconds: float = 4.0, score: float = 0.98, **known: Any) -> Segment:
    """A line whose words follow each other evenly."""
    words = text.split()
    step = seconds / max(len(words), 1)
    said = tuple(
        doubted(Word(word, number * step, (number + 1) * step, score))
        for number, word in enumerate(words)
    )
    return replace(Segment(0.0, seconds, text, said, avg_logprob=-0.2), **known)


def codes(segment: Segment, around: Surroundings = ENGLISH) -> set[str]:
    return {flag.code for flag in flags_of(segment, around)}


def test_a_plain_line_has_no_flag() -> None:
    assert flags_of(line("It was a bright cold day in April."), ENGLISH) == ()


@pytest.mark.parametrize(
    ("segment", "code"),
    [
        (line("It was a bright cold day", score=0.1), thresholds.UNLIKELY_WORDS),
        (line("to see, to see, to see, to see, to see"), thresholds.REPETITION),
        (line("It was a bright cold day in April and the clocks were", seconds=0.9),
         thresholds.TOO_FAST),
        (line("Well.", no_speech_prob=0.8), thresholds.MOSTLY_SILENCE),
        (line("Продолжение в следующей части"), thresholds.ODD_SCRIPT),
        (line("It was a bright cold day", temperature=0.8), thresholds.UNSTABLE),
        (line("Thanks for watching!"), thresholds.STOCK_PHRASE),
    ],
)  # fmt: skip
def test_each_sign_is_told_by_its_code(segment: Segment, code: str) -> None:
    assert code in codes(segment)


def test_one_doubtful_word_in_a_plain_line_is_named() -> None:
    plain = line("It was a bright cold day in April and the clocks were striking thirteen")
    doubtful = replace(plain.words[3], doubt=0.7)
    flags = flags_of(replace(plain, words=(*plain.words[:3], doubtful, *plain.words[4:])), ENGLISH)
    [flag] = flags
    assert (flag.code, flag.doubt) == (thresholds.DOUBTFUL_WORD, 0.35)
    assert "bright" in flag.message


def test_text_in_which_no_speaker_is_heard_is_doubtful_only_with_a_diarizer() -> None:
    segment = line("It was a bright cold day")
    heard = Surroundings("en", (Turn(0.0, 4.0, "SPEAKER_00"),), is_diarized=True)
    elsewhere = Surroundings("en", (Turn(9.0, 12.0, "SPEAKER_00"),), is_diarized=True)
    assert thresholds.NO_SPEAKER in codes(segment, elsewhere)
    assert codes(segment, heard) == codes(segment) == set()


def test_words_that_the_aligner_guessed_are_doubtful_only_where_it_looked() -> None:
    segment = line("In 1984 and 1985")
    guessed = tuple(replace(word, interpolated=True) for word in segment.words)
    segment = replace(segment, words=guessed)
    assert codes(segment, Surroundings("en", is_aligned=True)) == {thresholds.NOT_PLACED}
    assert codes(segment) == set()


def test_a_segment_is_judged_by_its_own_language() -> None:
    segment = line("Продолжение в следующей части", language="ru")
    assert thresholds.ODD_SCRIPT not in codes(segment)


def test_an_unspaced_script_counts_its_syllables() -> None:
    around = Surroundings("zh")
    assert thresholds.TOO_FAST in codes(line("今天天气很好我们去公园散步吧", seconds=1.0), around)
    assert thresholds.TOO_FAST not in codes(line("今天天气很好", seconds=1.0), around)


def test_flags_are_worst_first_and_say_what_was_seen() -> None:
    found = flags_of(line("ха ха ха ха ха ха", temperature=1.0), ENGLISH)
    doubts = [flag.doubt for flag in found]
    assert len(found) >= 3
    assert doubts == sorted(doubts, reverse=True)
    assert all(flag.message and 0 < flag.doubt <= 1 for flag in found)


def test_a_segment_without_words_is_judged_by_its_text() -> None:
    bare = Segment(0.0, 2.0, "so so so so so so")
    assert codes(bare) == {thresholds.REPETITION}
    assert [sign(Segment(0.0, 0.0, ""), ENGLISH) for sign in SIGNS] == [None] * len(SIGNS)


def test_a_segment_without_words_is_as_likely_as_its_window() -> None:
    assert codes(Segment(0.0, 2.0, "Well.", avg_logprob=-1.5)) == {thresholds.UNLIKELY_WORDS}
    assert codes(Segment(0.0, 2.0, "Well.", avg_logprob=-0.2)) == set()

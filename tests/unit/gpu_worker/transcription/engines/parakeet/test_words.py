"""Words are made of tokens: their text, their times and their scores."""

from __future__ import annotations

import math

import pytest

from gpu_worker.transcription.engines.parakeet.words import Token, mean_logprob, timed_words


def tokens(*told: tuple[str, float]) -> list[Token]:
    return [Token(text, start, math.log(0.5)) for text, start in told]


def test_a_word_has_its_first_token_s_time_and_ends_with_the_next_word() -> None:
    said = tokens((" good", 0.4), (" mor", 0.8), ("ning", 1.04), (" you", 1.2))
    words = timed_words("good morning you", said, 9.0)
    assert [(word.word, word.start, word.end) for word in words[:2]] == [
        ("good", 0.4, 0.8),
        ("morning", 0.8, 1.2),
    ]


def test_a_word_lasts_no_longer_than_it_takes_to_say_it() -> None:
    (word,) = timed_words("hi", tokens((" hi", 1.0)), 9.0)
    assert word.start == 1.0
    assert word.end == pytest.approx(1.9)
    (word,) = timed_words("hi", tokens((" hi", 1.0)), 1.5)
    assert word.end == 1.5


def test_marks_belong_to_the_word_before_them_where_the_text_has_no_space() -> None:
    said = tokens((" no", 0.0), (" ,", 0.2), (" no", 0.4), (".", 0.5))
    assert [word.word for word in timed_words("no, no.", said, 9.0)] == ["no,", "no."]


def test_a_score_is_the_mean_probability_of_the_tokens() -> None:
    said = [Token(" a", 0.0, math.log(0.2)), Token("b", 0.1, math.log(0.6))]
    (word,) = timed_words("ab", said, 1.0)
    assert word.score == pytest.approx(0.4)
    assert mean_logprob(said) == pytest.approx((math.log(0.2) + math.log(0.6)) / 2)


def test_times_outside_the_window_or_out_of_order_are_moved_into_it() -> None:
    words = timed_words("a b c", tokens((" a", 0.8), (" b", 0.4), (" c", 3.0)), 1.0)
    assert [(word.start, word.end) for word in words] == [(0.8, 0.8), (0.8, 1.0), (1.0, 1.0)]


def test_nothing_said_has_no_words() -> None:
    assert timed_words("", [], 1.0) == ()
    assert mean_logprob([]) == 0.0

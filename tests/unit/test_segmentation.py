"""Words become lines at sentence ends and pauses, clipped to the speech around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.segmentation import PAUSE_SECONDS, Stretch, place_words, split_lines
from gpu_worker.transcript import Word


def a_word(text: str, start: float, end: float) -> Word:
    return Word(text, start, end, 1.0)


def texts(lines: tuple[tuple[Word, ...], ...]) -> list[str]:
    return [" ".join(word.word for word in line) for line in lines]


def test_a_word_that_fills_a_pause_is_clipped_to_its_speech_and_timed_in_the_chunk() -> None:
    words = [a_word("hello", 0.2, 1.4), a_word("you", 1.4, 1.9)]
    stretches = [Stretch(0.0, 1.0, shift=10.0), Stretch(1.0, 2.0, shift=12.0)]
    placed = place_words(words, stretches)
    assert [(word.start, word.end) for word in placed] == [(10.2, 11.0), (13.4, 13.9)]


def test_a_word_behind_all_speech_is_put_at_its_end() -> None:
    (placed,) = place_words([a_word("ghost", 3.0, 4.0)], [Stretch(0.0, 2.0, shift=5.0)])
    assert (placed.start, placed.end) == (7.0, 7.0)


@pytest.mark.parametrize("mark", [".", "?", "!", "。", "…"])
def test_a_line_ends_with_its_sentence(mark: str) -> None:
    words = [a_word(f"one{mark}", 0, 1), a_word("two", 1, 2)]
    assert texts(split_lines(words)) == [f"one{mark}", "two"]


def test_a_line_ends_at_a_pause() -> None:
    words = [a_word("one", 0, 1), a_word("two", 1.4, 2), a_word("three", 2 + PAUSE_SECONDS, 3)]
    assert texts(split_lines(words)) == ["one two", "three"]


def test_no_words_make_no_line() -> None:
    assert split_lines([]) == ()


@given(st.lists(st.tuples(st.sampled_from(["a", "b.", "c?"]), st.floats(0, 2)), max_size=30))
def test_no_word_is_lost_or_moved(items: list[tuple[str, float]]) -> None:
    words, now = [], 0.0
    for text, gap in items:
        words.append(a_word(text, now + gap, now + gap + 0.3))
        now += gap + 0.3
    lines = split_lines(words)
    assert [word for line in lines for word in line] == words
    assert all(lines)

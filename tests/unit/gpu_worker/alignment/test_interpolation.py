"""Every word has a time, in order and inside the window; a guess is flagged."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.alignment.interpolation import WordTime, complete_words, spread_evenly


def said(start: float, end: float) -> WordTime:
    return WordTime(start, end, 0.8)


def test_words_that_are_timed_stay_as_they_are() -> None:
    words = complete_words(["a", "b"], [said(0.5, 1.0), said(2.0, 2.5)], 3.0)
    assert [(word.word, word.start, word.end, word.score) for word in words] == [
        ("a", 0.5, 1.0, 0.8),
        ("b", 2.0, 2.5, 0.8),
    ]
    assert not any(word.interpolated for word in words)


def test_words_without_a_time_share_the_room_between_their_neighbours_by_length() -> None:
    words = complete_words(
        ["a", "one", "x", "b"], [said(0.0, 1.0), None, None, said(3.0, 4.0)], 5.0
    )
    assert [(word.start, word.end) for word in words[1:3]] == [(1.0, 2.5), (2.5, 3.0)]
    assert [word.interpolated for word in words] == [False, True, True, False]
    assert words[1].score == 0.0


def test_before_the_first_and_after_the_last_the_room_ends_with_the_window() -> None:
    words = complete_words(["a", "b", "c"], [None, said(2.0, 3.0), None], 5.0)
    assert [(word.start, word.end) for word in words] == [(0.0, 2.0), (2.0, 3.0), (3.0, 5.0)]


def test_a_window_in_which_nothing_is_timed_is_shared_out() -> None:
    words = complete_words(["ab", "cdef"], [None, None], 3.0)
    assert [(word.start, word.end, word.interpolated) for word in words] == [
        (0.0, 1.0, True),
        (1.0, 3.0, True),
    ]


def test_no_room_gives_words_of_no_length() -> None:
    words = complete_words(["a", "b", "c"], [said(0.0, 1.0), None, said(1.0, 2.0)], 2.0)
    assert (words[1].start, words[1].end) == (1.0, 1.0)


def test_a_window_that_seems_to_end_before_its_words_moves_nothing_backwards() -> None:
    words = complete_words(["a", "b"], [said(0.0, 1.02), None], 1.0)
    assert (words[1].start, words[1].end) == (1.02, 1.02)


def test_no_words_need_no_time() -> None:
    assert complete_words([], [], 3.0) == ()
    assert spread_evenly([], 0.0, 3.0) == []


def test_a_word_and_its_time_belong_together() -> None:
    with pytest.raises(ValueError, match="shorter"):
        complete_words(["a", "b"], [None], 1.0)


@given(st.lists(st.tuples(st.text(max_size=5), st.booleans()), max_size=20))
def test_whatever_is_missing_all_words_are_timed_in_order(drawn: list[tuple[str, bool]]) -> None:
    times = [said(place, place + 0.5) if timed else None for place, (_, timed) in enumerate(drawn)]
    words = complete_words([word for word, _ in drawn], times, len(drawn))
    assert [word.word for word in words] == [word for word, _ in drawn]
    assert [word.interpolated for word in words] == [not timed for _, timed in drawn]
    assert all(0 <= word.start <= word.end <= len(drawn) for word in words)
    assert all(before.end <= word.start for before, word in pairwise(words))

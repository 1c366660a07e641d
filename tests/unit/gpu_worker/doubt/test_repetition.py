from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.doubt.repetition import Repetition, find_repetitions, least_times


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("to understand, to understand, To understand, to understand", Repetition(0, 2, 4)),
        ("It is so so so so so.", Repetition(2, 1, 5)),
        ("one two three one two three one two three four", Repetition(0, 3, 3)),
        ("we all went home again on that same day we all went home again on that same day too",
         Repetition(0, 9, 2)),
    ],
)  # fmt: skip
def test_a_phrase_that_comes_back_without_a_break_is_found(text: str, found: Repetition) -> None:
    assert find_repetitions(text.split()) == [found]


@pytest.mark.parametrize(
    "text",
    [
        "No, no, no, no.",
        "I know, I know, I know.",
        "Come here. Come here!",
        "one two three one two three",
        "the more the merrier, the more the better",
        "",
        "... ... ... ... ... ...",
    ],
)
def test_what_people_say_twice_is_no_repetition(text: str) -> None:
    assert find_repetitions(text.split()) == []


def test_two_repetitions_are_told_apart() -> None:
    words = ["a", "b", "a", "b", "a", "b", "a", "b", "and", "then", "c", "c", "c", "c", "c"]
    assert find_repetitions(words) == [Repetition(0, 2, 4), Repetition(10, 1, 5)]


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_repetitions_stand_in_order_and_say_the_truth(words: list[str]) -> None:
    end = 0
    for found in find_repetitions(words):
        phrase = words[found.first : found.first + found.words]
        assert words[found.first : found.end] == phrase * found.times
        assert found.times >= least_times(found.words)
        assert found.first >= end
        end = found.end

"""What was heard in the place of each word, on cases counted by hand."""

from __future__ import annotations

from gpu_worker.accuracy.edits import STRETCH_WORDS, Heard, heard_words, stretches


def test_each_word_has_what_was_heard_in_its_place() -> None:
    found = heard_words(
        ["one", "two", "three", "four"], ["oh", "one", "too", "three", "and", "five"]
    )
    assert found == (
        Heard(("oh", "one"), 1),  # what stands before the first word counts with it
        Heard(("too",), 1),
        Heard(("three", "and"), 1),
        Heard(("five",), 1),
    )
    assert heard_words(["one", "two"], ["two"]) == (Heard((), 1), Heard(("two",), 0))


def test_a_text_that_was_not_heard_is_wrong_in_each_word_and_no_text_has_no_words() -> None:
    assert heard_words(["one", "two"], []) == (Heard((), 1), Heard((), 1))
    assert heard_words([], ["one"]) == ()


def test_a_text_is_cut_into_stretches_with_the_errors_of_each_side() -> None:
    said = [f"w{number}" for number in range(STRETCH_WORDS + 5)]
    one = [*said[:3], "x", *said[4:]]
    other = said[:-2]
    assert stretches(said, [one, other]) == [[STRETCH_WORDS, 1, 0], [5, 0, 2]]
    assert stretches([], [["a", "b"], []]) == [[0, 2, 0]]
    assert stretches([], [[], []]) == []

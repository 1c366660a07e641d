"""Words as they are shown: cleaned, timed in milliseconds, and together all of their text."""

from __future__ import annotations

import pytest

from gpu_worker.assembly.shown_words import (
    LATEST_MS,
    ShownWord,
    clean,
    milliseconds,
    shown_words,
    visible_characters,
)
from gpu_worker.transcript import Segment, Word
from gpu_worker.words import split_words
from tests.inputs.transcripts import FORGED
from tests.inputs.writings import WRITINGS, unworded, written


def shown(*segments: Segment) -> list[str]:
    return [word.text for words in shown_words(segments) for word in words]


@pytest.mark.parametrize("name", WRITINGS)
def test_the_words_are_shown_with_and_without_their_times(name: str) -> None:
    said = written(name)
    words = [word.word for word in said.words]
    assert [s.text[slice(*place)] for s in said.segments for place in split_words(s.text)] == words
    assert shown(*said.segments) == words == shown(*unworded(said).segments)


@pytest.mark.parametrize("name", WRITINGS)
def test_words_and_their_spaces_are_the_text(name: str) -> None:
    said = written(name)
    for one in (said, unworded(said)):
        words = [word for words in shown_words(one.segments) for word in words]
        assert "".join(" " * word.spaced + word.text for word in words) == said.text


def test_words_of_older_results_are_shown_as_they_stand_in_their_text() -> None:
    words = tuple(Word(word, i, i + 1, 0.9) for i, word in enumerate(("It", "cost", "$3", ".5")))
    assert shown(Segment(0, 4, "It cost $3 .5", words)) == ["It", "cost", "$3", ".5"]


def test_what_stands_between_two_words_is_shown_with_the_first() -> None:
    words = (Word("yes", 0.0, 0.5, 0.9), Word("no", 1.0, 1.5, 0.9))
    assert shown(Segment(0.0, 1.5, "« yes – no »", words)) == ["« yes –", "no »"]


def test_a_word_that_is_not_in_the_text_leaves_its_time_to_what_is() -> None:
    words = (Word("one", 0, 1, 0.9), Word("zwei", 1, 2, 0.9), Word("three", 2, 3, 0.9))
    (found,) = shown_words([Segment(0, 3, "one two three", words)])
    assert [(word.text, word.start_ms) for word in found] == [
        ("one", 0), ("two", 1000), ("three", 2000),
    ]  # fmt: skip


def test_words_of_another_text_are_not_believed() -> None:
    words = (Word("eins", 5, 6, 0.9), Word("zwei", 6, 7, 0.9))
    (found,) = shown_words([Segment(0, 2, "one two", words)])
    assert found == [
        ShownWord("one", 0, 1142, False, None),
        ShownWord("two", 1142, 2000, True, None),
    ]


def test_times_never_go_back() -> None:
    words = (Word("one", 2, 3, 0.9), Word("two", 1, 1, 0.9))
    (found,) = shown_words([Segment(0, 3, "one two", words)])
    assert [(word.start_ms, word.end_ms) for word in found] == [(2000, 3000), (2000, 2001)]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("今天。", 3),
        ("น้ำ", 1),
        ("é e\u0301", 3),
        ("👨‍👩‍👧", 1),
        ("\u200fشكرا", 4),
        ("a\u2060b", 2),
    ],
)
def test_characters_are_counted_as_a_reader_does(text: str, count: int) -> None:
    assert visible_characters(text) == count


def test_cleaned_text_cannot_hold_a_second_cue() -> None:
    assert clean(FORGED) == "one 00:00:05 -> 00:00:06 forged"


@pytest.mark.parametrize("text", ["-->", "--->", "-\x00->", "-----\x1b>"])
def test_no_arrow_is_left_however_it_is_hidden(text: str) -> None:
    assert clean(text) == "->"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (float("nan"), 0),
        (float("inf"), 0),
        (float("-inf"), 0),
        (-0.5, 0),
        (1.2345, 1234),
        (360_000.0, 360_000_000),
        (1e300, LATEST_MS),
    ],
)
def test_any_float_becomes_a_time_that_can_be_written(seconds: float, expected: int) -> None:
    assert milliseconds(seconds) == expected

"""Word errors, on cases counted by hand."""

from __future__ import annotations

import pytest

from gpu_worker.accuracy.counting import word_error
from gpu_worker.accuracy.normaliser import normalised
from gpu_worker.accuracy.word_error import WordError

pytestmark = pytest.mark.slow  # it imports transformers


def test_case_marks_and_ways_of_writing_are_no_word_errors() -> None:
    said, heard = "Mr. Smith was ill-disposed, too.", "mister smith was ill disposed too"
    assert word_error(said, heard, "en") == WordError(words=6, errors=0)
    assert normalised("It's $5, isn't it?", "en") == normalised(
        "it is five dollars is not it", "en"
    )


def test_other_words_missing_words_and_added_words_are_errors() -> None:
    assert word_error("one two three four", "one too three", "de") == WordError(4, 2)
    assert word_error("one two", "one two and more", "de") == WordError(2, 2)
    assert word_error("one two", "", "de") == WordError(2, 2)
    assert word_error("", "one two", "de") == WordError(0, 2)

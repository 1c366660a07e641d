"""A number behind some words says which one of them is meant, and not how many."""

from __future__ import annotations

import pytest

from gpu_worker.writing.number_spelling import LANGUAGES
from gpu_worker.writing.numbered_names import is_numbered_name


@pytest.mark.parametrize(
    ("word", "language", "begins_sentence", "expected"),
    [
        ("error", "en", False, True),
        ("Error", "en", True, True),
        ("PAGES", "en", False, True),
        ("Boeing", "en", False, True),
        ("Boeing", "en", True, False),  # as any word that begins a sentence
        ("iPhone", "en", True, True),
        ("May", "en", False, False),
        ("saw", "en", False, False),
        ("Seite", "de", False, True),
        ("Leute", "de", False, False),
        ("iPhone", "de", False, True),
        ("página", "es", False, True),
    ],
)
def test_a_word_says_whether_the_number_behind_it_is_of_a_name(
    word: str, language: str, begins_sentence: bool, expected: bool
) -> None:
    assert is_numbered_name(word, language, begins_sentence=begins_sentence) is expected


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_in_every_language_a_word_with_a_capital_letter_inside_is_a_name(language: str) -> None:
    assert not is_numbered_name("xyz", language, begins_sentence=False)
    assert is_numbered_name("xyZ", language, begins_sentence=False)

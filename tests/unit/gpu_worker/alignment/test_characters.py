"""Words become symbols by whisperX's rules, and every word finds its own symbols again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.alignment.characters import (
    WILDCARD,
    Alphabet,
    plain_characters,
    read_alphabet,
    spell_words,
)

VOCABULARY = {"<pad>": 0, "|": 1, "A": 2, "B": 3, "'": 4, "Ñ": 5}
ENGLISH = read_alphabet(VOCABULARY, "en")


def spelled(words: list[str], alphabet: Alphabet = ENGLISH) -> list[int]:
    symbols: list[int] = spell_words(words, alphabet).symbols.tolist()
    return symbols


def test_letters_are_looked_up_in_lower_case() -> None:
    assert spelled(["aB", "ñ"]) == [2, 3, 1, 5]


def test_an_apostrophe_is_a_letter_where_the_model_has_it() -> None:
    assert spelled(["a'b"]) == [2, 4, 3]


def test_what_the_model_does_not_know_is_a_wildcard() -> None:
    assert spelled(["a1", "€", "b."]) == [2, WILDCARD, 1, WILDCARD, 1, 3, WILDCARD]


def test_the_separator_stands_between_words_and_not_around_them() -> None:
    assert spelled(["a"]) == [2]
    assert spelled(["", "a", " ", "b", ""]) == [2, 1, 3]


def test_a_word_knows_its_own_symbols() -> None:
    spelling = spell_words(["ab", "", "b"], ENGLISH)
    assert [spelling.symbols[place].tolist() for place in spelling.words] == [[2, 3], [], [3]]


def test_languages_without_spaces_have_no_separator() -> None:
    for language in ("ja", "zh"):
        assert spelled(["a", "b"], read_alphabet(VOCABULARY, language)) == [2, 3]


def test_a_model_without_a_separator_does_without() -> None:
    alphabet = read_alphabet({"-": 0, "a": 1}, "en")
    assert spelled(["a", "a"], alphabet) == [1, 1]
    assert spelled(["a", "|"], alphabet) == [1]


def test_no_words_have_no_symbols() -> None:
    assert spelled([]) == []
    assert spell_words([], ENGLISH).symbols.dtype.kind == "i"


def test_the_blank_is_the_padding_symbol_or_the_first() -> None:
    assert read_alphabet({"a": 0, "[PAD]": 7}, "en").blank == 7
    assert read_alphabet({"a": 0, "<pad>": 3}, "en").blank == 3
    assert read_alphabet({"-": 0, "a": 1}, "en").blank == 0


def test_a_letter_whose_lower_case_is_longer_stays_one_symbol() -> None:
    assert plain_characters("İx") == "ix"


@given(st.lists(st.text(max_size=6), max_size=8))
def test_each_visible_character_is_one_symbol_of_its_word(words: list[str]) -> None:
    spelling = spell_words(words, ENGLISH)
    assert [place.stop - place.start for place in spelling.words] == [
        len(plain_characters(word)) for word in words
    ]
    places = [index for place in spelling.words for index in range(place.start, place.stop)]
    assert places == sorted(set(places))
    between = len([word for word in words if plain_characters(word)])
    assert len(spelling.symbols) == len(places) + max(0, between - 1)

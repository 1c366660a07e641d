"""A number is spelled as each language does it, and only if it has one form."""

from __future__ import annotations

import pytest
from text_to_num import text2num

from gpu_worker.writing import number_spelling, words_to_digits


def test_what_is_written_in_words_can_be_read_back_in_the_same_languages() -> None:
    assert number_spelling.LANGUAGES == words_to_digits.LANGUAGES == number_spelling.PERCENT.keys()


UNREAD = ("centottantuno", "centottantotto")  # Italian as it should be, which text2num lacks


@pytest.mark.parametrize("language", sorted(number_spelling.LANGUAGES))
def test_every_small_number_is_read_back_as_itself(language: str) -> None:
    spelled = {number: number_spelling.bare(number, language) for number in range(1000)}
    for number, words in spelled.items():
        if words and not words.endswith(UNREAD):
            assert text2num(words, language) == number


@pytest.mark.parametrize(
    ("language", "number", "expected"),
    [
        ("da", 1, None),  # en, et
        ("da", 1250, None),  # tusind, tusinde
        ("de", 1, None),  # ein, eine, eins
        ("de", 21, "einundzwanzig"),
        ("en", 123_456, "one hundred and twenty-three thousand four hundred and fifty-six"),
        ("es", 21, None),  # veintiún, veintiuna
        ("es", 22, "veintidós"),
        ("es", 200, None),  # doscientos, doscientas
        ("fr", 21, None),  # vingt-et-un, vingt-et-une
        ("fr", 91, "quatre-vingt-onze"),
        ("it", 8, "otto"),
        ("nl", 1250, "duizendtweehonderdvijftig"),
        ("pt", 2, None),  # dois, duas
    ],
)
def test_a_count_whose_form_depends_on_what_is_counted_is_not_spelled(
    language: str, number: int, expected: str | None
) -> None:
    assert number_spelling.cardinal(number, language) == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("da", None),
        ("de", "neunzehnhundertvierundachtzig"),
        ("en", "nineteen eighty-four"),
        ("es", "mil novecientos ochenta y cuatro"),
        ("fr", "mille neuf cent quatre-vingt-quatre"),
        ("it", "millenovecentottantaquattro"),
        ("nl", "negentienvierentachtig"),
        ("pt", "mil novecentos e oitenta e quatro"),
    ],
)
def test_a_year_is_spelled_as_it_is_said(language: str, expected: str | None) -> None:
    assert number_spelling.year(1984, language) == expected


def test_years_of_a_new_thousand_are_said_as_counts_in_english() -> None:
    assert (
        number_spelling.year(2005, "en")
        == number_spelling.cardinal(2005, "en")
        == "two thousand and five"
    )
    assert number_spelling.year(2010, "en") == "twenty ten"


@pytest.mark.parametrize(
    ("language", "number", "ending", "expected"),
    [
        ("en", 21, "st", "twenty-first"),
        ("en", 21, "x", None),
        ("es", 2, "ª", "segunda"),
        ("es", 3, "º", None),  # tercero, tercer
        ("fr", 1, "er", "premier"),
        ("fr", 1, "e", None),  # premier, première
        ("fr", 2, "ème", "deuxième"),
        ("it", 3, "º", "terzo"),
        ("nl", 8, "ste", "achtste"),
        ("pt", 3, "ª", "terceira"),
        ("de", 3, "te", None),  # dritte, dritten, dritter
    ],
)
def test_an_ordinal_is_spelled_by_its_ending(
    language: str, number: int, ending: str, expected: str | None
) -> None:
    assert number_spelling.ordinal(number, language, ending) == expected


def test_decimals_are_spelled_where_the_library_has_a_rule() -> None:
    spelled = {it: number_spelling.decimal("3.5", it) for it in number_spelling.LANGUAGES}
    assert {it: words for it, words in spelled.items() if words} == {
        "de": "drei Komma fünf",
        "en": "three point five",
        "es": "tres coma cinco",
        "it": "tre virgola cinque",
    }

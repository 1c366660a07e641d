"""Numbers that are heard in words are written in digits, language by language."""

from __future__ import annotations

import pytest

from gpu_worker.writing.tokens import tokens_of
from gpu_worker.writing.words_to_digits import LANGUAGES, numbers_in
from tests.unit.gpu_worker.writing.heard import written

WRITTEN = [
    ("en", "I have twenty-five apples, and one hundred and two pears.",
     "I have 25 apples, and 102 pears."),
    ("en", "Three point one four is pi.", "3.14 is pi."),
    ("en", "On the twenty-first of May nineteen eighty-four.", "On the 21st of May 1984."),
    ("en", "In twenty twenty, two thousand and five came.", "In 2020, 2005 came."),
    ("en", "Call one two three four five.", "Call 1 2 3 4 5."),
    ("en", "Two million three hundred thousand people.", "2,300,000 people."),
    ("en", "A million people and 5 million more, a hundred of them.",
     "A million people and 5 million more, a hundred of them."),
    ("en", "A twenty-five-year-old man.", "A 25-year-old man."),
    ("en", "Eighteen nineteen twenty.", "18 19 20."),  # counted, and no year
    ("de", "Am zwölften Mai kamen dreißig Leute und fünfunddreißig Hunde.",
     "Am 12. Mai kamen 30 Leute und 35 Hunde."),
    ("de", "Drei Komma eins vier, neunzehnhundertvierundachtzig.", "3,14, 1984."),
    ("de", "Zwei Millionen Euro.", "2.000.000 Euro."),
    ("fr", "Quatre-vingt-dix-neuf ballons, vingt et un ans.", "99 ballons, 21 ans."),
    ("fr", "Trois mille deux cents francs.", "3200 francs."),
    ("es", "Tengo treinta y uno, veinticinco mil euros.",
     "Tengo 31, 25000 euros."),
    ("it", "Ho ventuno anni.", "Ho 21 anni."),
    ("nl", "Hij is vijfentwintig jaar.", "Hij is 25 jaar."),
    ("pt", "Tenho vinte e um anos.", "Tenho 21 anos."),
    ("da", "Jeg er femogtyve år.", "Jeg er 25 år."),
]  # fmt: skip


DATES = [
    ("en", "On the third of May, or June second.", "On the 3rd of May, or June 2nd."),
    ("en", "You may one day march second.", "You may one day march 2nd."),
    ("en", "The third of May twenty twenty four.", "The 3rd of May 2024."),
    ("en", "December twenty-fifth twenty twenty three.", "December 25th 2023."),
    ("en", "May third, two thousand and five.", "May 3rd, 2005."),
    ("en", "May one twenty twenty, but one twenty twenty.", "May 1 2020, but 1 20 20."),
    ("de", "Am dritten Mai zweitausendvierundzwanzig.", "Am 3. Mai 2024."),
    ("fr", "Le trois mai deux mille vingt-quatre.", "Le 3 mai 2024."),
    ("es", "El tres de mayo de dos mil veinticuatro.", "El 3 de mayo de 2024."),
    ("de", "Am dritten Mai, der erste Januar.", "Am 3. Mai, der 1. Januar."),
    ("de", "Ein Mai, und der dritte Mann.", "Ein Mai, und der dritte Mann."),
    ("fr", "Le trois mai et le premier juin.", "Le 3 mai et le 1er juin."),
    ("fr", "Un mai froid.", "Un mai froid."),
    ("es", "El tres de mayo, el primero de junio.", "El 3 de mayo, el 1º de junio."),
    ("it", "Il tre maggio.", "Il 3 maggio."),
    ("nl", "Op drie mei.", "Op 3 mei."),
    ("pt", "Em três de maio.", "Em 3 de maio."),
    ("da", "Den tredje maj.", "Den 3. maj."),
]


@pytest.mark.parametrize(("language", "heard", "expected"), DATES)
def test_the_day_of_a_date_is_written_in_digits_however_small(
    language: str, heard: str, expected: str
) -> None:
    assert written(heard, language, numbers="digits").text == expected


@pytest.mark.parametrize(("language", "heard", "expected"), WRITTEN)
def test_numbers_are_written_in_digits(language: str, heard: str, expected: str) -> None:
    assert written(heard, language, numbers="digits").text == expected


def test_every_language_has_an_example() -> None:
    assert {language for language, _, _ in WRITTEN} == LANGUAGES


def test_a_small_number_that_stands_alone_stays_in_words() -> None:
    assert written("one of two people", numbers="digits").text == "one of two people"
    assert written("nine people", numbers="digits", digits_from=9).text == "9 people"
    assert written("two three-hour talks", numbers="digits").text == "two three-hour talks"
    large = "twenty-five of ninety-nine, one hundred and two"
    assert (
        written(large, numbers="digits", digits_from=100).text == "twenty-five of ninety-nine, 102"
    )
    assert written("nineteen eighty-four", numbers="digits", digits_from=100).text == "1984"


def test_decimals_and_leading_noughts_are_numbers_however_small() -> None:
    assert written("zero point five", numbers="digits").text == "0.5"
    assert written("zero zero seven", numbers="digits").text == "007"


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ("It's ten o'clock.", "It's 10 o'clock."),
        ("Twenty O'Briens.", "20 O'Briens."),
        ("In nineteen oh five, twenty o five.", "In 1905, 2005."),
        ("Twenty, oh five of them. Oh, nineteen!", "20, oh five of them. Oh, 19!"),
        ("Twenty oh my, nineteen five.", "20 oh my, 19 5."),
        ("The nineteen eighties, the eighties.", "The nineteen eighties, the eighties."),
    ],
)
def test_an_o_is_a_nought_where_a_year_is_said_and_decades_stay_in_words(
    heard: str, expected: str
) -> None:
    assert written(heard, numbers="digits").text == expected


def test_a_pause_ends_a_number() -> None:
    assert written("twenty five", numbers="digits").text == "25"
    assert written("twenty five", numbers="digits", digits_from=0, pause=1.5).text == "20 5"
    assert written("nineteen eighty", numbers="digits", pause=1.5).text == "19 80"


def test_a_number_of_other_languages_is_none() -> None:
    assert list(numbers_in(tokens_of("twenty five"), "ja", 0)) == []
    assert list(numbers_in(tokens_of("twenty five"), None, 0)) == []

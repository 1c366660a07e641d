"""Numbers that a model wrote in digits are written in words, where the words are certain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.writing.number_spelling import LANGUAGES
from gpu_worker.writing.rules import WritingRules
from gpu_worker.writing.writer import Writer
from tests.unit.gpu_worker.writing.heard import a_segment, written

WRITTEN = [
    ("en", "I have 8 apples and 1,250 pears, 0 plums.",
     "I have eight apples and one thousand two hundred and fifty pears, zero plums."),
    ("en", "His 3rd try, in the 21st century.", "His third try, in the twenty-first century."),
    ("en", "3.5 million, 5 million.", "Three point five million, five million."),
    ("en", "5% of 12.5 %.", "Five percent of twelve point five percent."),
    ("en", "A 25-year-old man, a 24-hour day.",
     "A twenty-five-year-old man, a twenty-four-hour day."),
    ("en", "They may 5 times march 3 miles.", "They may five times march three miles."),
    ("de", "Wir sahen die Stadt 12 Mal.", "Wir sahen die Stadt zwölf Mal."),
    ("en", "From 5 to 10 or 12 men.", "From five to ten or twelve men."),
    ("en", "At 10 o'clock (25 came).", "At ten o'clock (twenty-five came)."),
    ("en", "The errors: 25. Room for 5 and 3 pages.", "The errors: twenty-five. Room for five and "
     "three pages."),
    ("da", "Jeg er 25 år.", "Jeg er femogtyve år."),
    ("de", "Es kamen 25 Leute, 1.250 Hunde und 3,5 Prozent.",
     "Es kamen fünfundzwanzig Leute, eintausendzweihundertfünfzig Hunde und drei Komma fünf "
     "Prozent."),
    ("es", "¿22 personas? El 25 %.", "¿Veintidós personas? El veinticinco por ciento."),
    ("fr", "99 ballons, le 21e siècle.",
     "Quatre-vingt-dix-neuf ballons, le vingt-et-unième siècle."),
    ("it", "Ho 22 anni, la 2ª volta.", "Ho ventidue anni, la seconda volta."),
    ("nl", "Hij is 25 jaar, de 1ste.", "Hij is vijfentwintig jaar, de eerste."),
    ("pt", "Tenho 23 anos, o 3º.", "Tenho vinte e três anos, o terceiro."),
]  # fmt: skip

DATES = [
    ("en", "The 3rd of May 2024, May 3rd, 2024.",
     "The third of May twenty twenty-four, May third, twenty twenty-four."),
    ("en", "On May 3 he left, on May 3 2024.",
     "On May third he left, on May third twenty twenty-four."),
    ("en", "In 1984, since 1066 and in May 2005.",
     "In nineteen eighty-four, since ten sixty-six and in May two thousand and five."),
    ("en", "In 1500. The year 1500 came.", "In fifteen hundred. The year fifteen hundred came."),
    ("de", "Seit 1984, im Mai 2024.",
     "Seit neunzehnhundertvierundachtzig, im Mai zweitausendvierundzwanzig."),
    ("es", "El 21 de mayo de 1981.", "El veintiuno de mayo de mil novecientos ochenta y uno."),
    ("fr", "Le 21 mai 2021, le 1er juin.",
     "Le vingt-et-un mai deux mille vingt-et-un, le premier juin."),
    ("it", "Il 3 maggio 2024.", "Il tre maggio duemilaventiquattro."),
    ("nl", "Op 3 mei 1984.", "Op drie mei negentienvierentachtig."),
    ("pt", "Em 2 de maio de 2024.", "Em dois de maio de dois mil e vinte e quatro."),
]  # fmt: skip

LEFT = [
    ("en", "Call 555 1234, 555-1234, 0800 or 1 2 3."),  # said one by one
    ("en", "At 10:30, at 10.30, at 5 pm, at 10 a.m."),
    ("en", "Room A4, a 4K film, COVID-19, 007, 24/7, a Boeing 747, Python 3.11."),
    ("en", "See No. 5, p. 12, fig. 3 and #4."),
    ("en", "Error 404, an error 404, code 12, pages 5 to 7, version 2.5 in room 12."),
    ("en", "My iPhone 15, flight 1250. iPhone 15 it is."),
    ("en", "It cost $5, 5 $, 5€ and £1,250."),
    ("en", "From 10-20, 10–20, 3 – 2, 3x4, 3 x 4, 5/6, -5 and +5."),
    ("en", "5 km, 5kg, 10°."),
    ("en", "Of 1,000,000 and 90210."),  # long ones, and a code
    ("en", "He won 1500 in 1500 cases."),  # a count or a year
    ("en", "On 3 May 2024, on May 03, 2024. In May 3 people came. May 3 people come?"),
    ("en", "June 5 to 7, June 5 or 6, June 5 6."),
    ("en", "5 to 10 km, 10 or 20 or $30, from 9 to 5 pm, in 1984 and 1990."),
    ("es", "21 o 22 casas, 22 o 21 casas."),
    ("en", "The 1990s, '84, 1984-1990."),
    ("en", "3-in-1, 9-to-5, 7-Eleven."),
    ("da", "Den 3. maj 2024, 1 mand, 1.250 kroner, i 1984."),
    ("de", "Am 3. Mai 2024, 1 Hund. Wir sind 25."),
    ("de", "Fehler 404 in Zimmer 12, Seite 5, ein iPhone 15"),
    ("es", "El error 404 en la página 12."),
    ("es", "El 1 de mayo, 21 casas, 200 casas, 3.º piso."),
    ("fr", "Le 1 mai, 21 ans, 30 000 ballons, 3,5 ans."),
    ("it", "Il 1 maggio, 21 case, l'8 settembre."),
    ("nl", "In 1900 huizen, 3,5 huizen."),
    ("pt", "Em 1 de maio, 2 casas, 200 casas."),
    ("ja", "25人"),
    ("ru", "25 человек"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "heard", "expected"), [*WRITTEN, *DATES])
def test_numbers_and_dates_are_written_in_words(language: str, heard: str, expected: str) -> None:
    assert written(heard, language, numbers="words").text == expected


@pytest.mark.parametrize(("language", "heard"), LEFT)
def test_digits_that_are_read_in_several_ways_stay(language: str, heard: str) -> None:
    segment = a_segment(heard)
    assert Writer(WritingRules(numbers="words")).segments([segment], language) == [segment]


def test_every_language_has_an_example() -> None:
    assert {language for language, _, _ in WRITTEN} == LANGUAGES


@given(st.integers(0, 9_999))
def test_a_number_in_words_is_written_in_the_same_digits_again(number: int) -> None:
    in_words = written(f"we saw {number:,} of them", numbers="words").text
    assert not any(letter.isdecimal() for letter in in_words)
    back = written(in_words, numbers="digits", digits_from=0).text
    assert back == f"we saw {number} of them"


@given(st.integers(1300, 2099))
def test_a_year_in_words_is_written_in_the_same_digits_again(year: int) -> None:
    in_words = written(f"in the year {year}", numbers="words").text
    assert not any(letter.isdecimal() for letter in in_words)
    assert written(in_words, numbers="digits").text == f"in the year {year}"


@pytest.mark.parametrize("day", range(1, 32))
def test_a_day_in_words_is_written_in_the_same_digits_again(day: int) -> None:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day not in (11, 12, 13) else 0, "th")
    in_words = written(f"on May {day}, 2024", numbers="words").text
    back = written(in_words, numbers="digits").text
    assert back == f"on May {day}{ending}, 2024"


def test_the_words_of_one_number_share_its_time_and_the_first_has_what_was_heard() -> None:
    words = written("about 1,250 pears", numbers="words").words
    about, *number, pears = words
    assert [word.word for word in number] == ["one", "thousand", "two", "hundred", "and", "fifty"]
    assert [word.spoken for word in number] == ["1,250", "", "", "", "", ""]
    assert (number[0].start, number[-1].end) == (0.5, 1.0)
    assert all(word.interpolated for word in number)
    assert (about.word, about.start, about.end, about.spoken) == ("about", 0.0, 0.5, None)
    assert (pears.word, pears.start, pears.end, pears.spoken) == ("pears", 1.0, 1.5, None)


def test_a_number_of_one_word_keeps_its_own_time() -> None:
    word = written("at 25, then", numbers="words").words[1]
    assert (word.word, word.spoken, word.start, word.end) == ("twenty-five,", "25,", 0.5, 1.0)
    assert not word.interpolated


def test_a_sentence_begins_with_a_capital_letter() -> None:
    heard = [a_segment("8 came. 9 left, of"), a_segment("10 men."), a_segment("11 stayed.")]
    found = Writer(WritingRules(numbers="words")).segments(heard, "en")
    assert [it.text for it in found] == ["Eight came. Nine left, of", "ten men.", "Eleven stayed."]
    assert written("8 came", numbers="words").text == "eight came"  # no sentences at all


def test_numbers_of_two_speakers_are_no_sequence() -> None:
    heard = a_segment("5 6")
    heard = replace(heard, words=(heard.words[0], replace(heard.words[1], speaker="SPEAKER_01")))
    (segment,) = Writer(WritingRules(numbers="words")).segments([heard], "en")
    assert segment.text == "five six"


def test_a_replacement_comes_first() -> None:
    rules = (("5", "V"), ("area 51", "Area 51"))
    segment = written("area 51, 5 or 6", replacements=rules, numbers="words")
    assert segment.text == "Area 51, V or six"

"""What a word is, where it stands, and what stands between two texts."""

from __future__ import annotations

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from gpu_worker.words import join_texts, sounding_part, space_between, split_words, word_places


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rose $3.5 at 12:30, AT&T", ["It", "rose", "$3.5", "at", "12:30,", "AT&T"]),
        ("100% up-to-date l'e-mail U.S.A.", ["100%", "up-to-date", "l'e-mail", "U.S.A."]),
        ("$100,000 a@b.com https://x.org/a?b=1", ["$100,000", "a@b.com", "https://x.org/a?b=1"]),
        ("Leibs- und Hals", ["Leibs-", "und", "Hals"]),
        ("Vous venez ? « Oui ! »", ["Vous", "venez ?", "« Oui ! »"]),
        ("- Hello. – Yes?", ["- Hello.", "– Yes?"]),
        ("5 % & co", ["5", "%", "&", "co"]),
        ("今天iPhone涨了3.5%，「好」。", ["今", "天", "iPhone", "涨", "了", "3.5%，", "「好」。"]),
        ("スーパーです", ["スー", "パー", "で", "す"]),
        ("น้ำนี่ เป็น", ["น้ำ", "นี่", "เป็", "น"]),
        ("ไทย", ["ไท", "ย"]),
        ("मैं ठीक हूँ।", ["मैं", "ठीक", "हूँ।"]),
        ("كيف حالك؟", ["كيف", "حالك؟"]),
        ("👨‍👩‍👧 ok 👍🏽!", ["👨‍👩‍👧", "ok", "👍🏽!"]),
        ("...", ["..."]),
        ("«", ["«"]),
        ("", []),
        (" \n", []),
    ],
)
def test_a_word_is_what_a_reader_calls_one(text: str, expected: list[str]) -> None:
    assert words(text) == expected


ANY_TEXT = st.text(
    st.sampled_from("ab3 .,-'\"«»()&%$今。、「」ーนี่้เำ\u0301हिं👨\u200d👍🏽\u00a0\u3000مَ")
)


@given(ANY_TEXT)
def test_words_hold_every_character_that_is_not_white_space(text: str) -> None:
    assert "".join("".join(words(text)).split()) == "".join(text.split())
    places = split_words(text)
    assert places == sorted(places)
    assert all(start < end for start, end in places)


@given(ANY_TEXT)
@example("あー🏽")  # the mark has a modifier of its own
def test_no_word_begins_inside_a_grapheme_cluster(text: str) -> None:
    clusters = {match.start() for match in regex.finditer(r"\X", text)}
    white = {index for index, character in enumerate(text) if character.isspace()}
    for start, _ in split_words(text):
        assert start in clusters or start - 1 in white


@given(ANY_TEXT)
def test_a_text_s_own_words_are_found_where_they_stand(text: str) -> None:
    assert word_places(text, words(text)) == split_words(text)


def test_a_word_that_is_not_in_the_text_costs_no_other_its_place() -> None:
    assert word_places("one two", ["one", "zwei", "two"]) == [(0, 3), (3, 3), (4, 7)]


@pytest.mark.parametrize(
    ("before", "after", "space"),
    [
        ("Hello.", "You?", " "),
        ("今天。", "很好", ""),
        ("今天", "很好", ""),
        ("今天。", "iPhone", ""),
        ("今天", "iPhone", " "),
        ("สวัสดี", "ครับ", ""),
        ("น้ำ", "น้ำ", ""),
        ("안녕", "하세요", " "),
        ("", "x", ""),
        ("x", "", ""),
    ],
)
def test_a_space_stands_where_the_script_has_one(before: str, after: str, space: str) -> None:
    assert space_between(before, after) == space


def test_texts_are_joined_without_the_white_space_around_them() -> None:
    assert join_texts([" One.", "", "  ", "Two. ", "好。", "好。"]) == "One. Two. 好。好。"
    assert join_texts([]) == ""


@pytest.mark.parametrize(
    ("word", "sound"),
    [
        ("(Hello),", "Hello"), ("U.S.A.", "U.S.A"), ("100%", "100%"), ("« Oui ! »", "Oui"),
        ("$3.5", "$3.5"), ("...", "..."), ("好。", "好"),
    ],
)  # fmt: skip
def test_marks_around_a_word_are_not_said(word: str, sound: str) -> None:
    first, end = sounding_part(f"x {word}", (2, 2 + len(word)))
    assert f"x {word}"[first:end] == sound

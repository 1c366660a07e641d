"""A full stop that a window's end has added is taken away, and a true one is not."""

from __future__ import annotations

import pytest

from gpu_worker.assembly.full_stops import without_false_stops
from gpu_worker.transcript import Segment, Word


def line(text: str, start: float = 0.0, language: str | None = None) -> Segment:
    """A line of two seconds, with its words."""
    words = tuple(Word(word, start, start + 2.0, 0.9) for word in text.split())
    return Segment(start, start + 2.0, text, words, language=language)


def mended(before: str, after: str, language: str, pause: float = 0.5) -> str:
    """The first line's text, of which its words are all."""
    first, second = without_false_stops([line(before), line(after, 2.0 + pause)], language)
    assert second.text == after
    assert " ".join(word.word for word in first.words) == first.text
    return first.text


@pytest.mark.parametrize(
    ("before", "after", "language"),
    [
        ("Los avances en la seguridad.", "fueron muy grandes.", "es"),
        ("We went to the.", "old house by the river.", "en"),
        ("Wir haben das gestern.", "in der Stadt gesehen.", "de"),
        ("Il a dit que...", "tout allait bien.", "fr"),
        ("Это было очень…", "важно для всех.", "ru"),
        ("Αυτό είναι το.", "σπίτι μου.", "el"),
        ("Um dos problemas.", "é a água.", "pt"),
    ],
)
def test_a_stop_before_a_small_letter_is_taken_away(before: str, after: str, language: str) -> None:
    assert mended(before, after, language) == before.rstrip(".…")


@pytest.mark.parametrize(
    ("before", "after", "language"),
    [
        ("Wir haben das gestern.", "Häuser stehen dort.", "de"),  # a noun, or a new sentence
        ("Das gilt für Obst, Gemüse usw.", "und so weiter.", "de"),
        ("We sell cars, bikes, etc.", "and other things.", "en"),
        ("He lives in the U.S.", "and in France.", "en"),
        ("I have a new phone.", "iPhone sales are up.", "en"),
        ("Is that so?", "he asked.", "en"),
        ("これは本です。", "それは", "ja"),
        ("ეს სახლია.", "ის დიდია.", "ka"),  # letters of one case
        ("It costs 3.", "5 are left.", "en"),
    ],
)
def test_other_stops_stay(before: str, after: str, language: str) -> None:
    assert mended(before, after, language) == before


def test_a_sentence_does_not_go_on_in_another_language_but_in_its_translation() -> None:
    lines = [line("We went to the."), line("casa vieja junto al río.", 2.5, "es")]
    assert without_false_stops(lines, "en")[0].text == "We went to the."
    lines = [line("We went to the."), line("old house by the river.", 2.5, "es")]
    assert without_false_stops(lines, "de", "en")[0].text == "We went to the"


def test_a_stop_before_a_long_pause_stays() -> None:
    assert mended("We went to the.", "old house.", "en", pause=4.0) == "We went to the."


def test_another_speaker_ends_the_sentence() -> None:
    first = Segment(0, 1, "We went.", speaker="SPEAKER_00")
    second = Segment(1, 2, "to the house.", speaker="SPEAKER_01")
    assert without_false_stops([first, second], "en") == (first, second)


def test_lines_without_words_are_mended_too() -> None:
    first, second = Segment(0, 1, "We went to."), Segment(1, 2, "the house.")
    assert without_false_stops([first, second], "en")[0].text == "We went to"


def test_no_lines_have_no_stops() -> None:
    assert without_false_stops([], "en") == ()

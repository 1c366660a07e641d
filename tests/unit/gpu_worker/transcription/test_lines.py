"""Words become lines at sentence ends, and further only where a line is too long."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.transcript import Segment, Word
from gpu_worker.transcription.lines import (
    LONG_SILENCE_SECONDS,
    LONGEST_COLUMNS,
    LONGEST_SECONDS,
    cut_segment,
    split_lines,
)
from gpu_worker.words import split_words

SECONDS = 0.3  # of a word


def a_word(text: str, start: float, end: float) -> Word:
    return Word(text, start, end, 1.0)


def a_segment(text: str, *, pauses: dict[int, float] | None = None) -> Segment:
    """A segment whose words follow each other, but for a pause before some of them."""
    words, now = [], 0.0
    for number, (start, end) in enumerate(split_words(text)):
        now += (pauses or {}).get(number, 0.0)
        words.append(a_word(text[start:end], now, now + SECONDS))
        now += SECONDS
    return Segment(0.0, now, text, tuple(words))


def lines(text: str, language: str = "en", pauses: dict[int, float] | None = None) -> list[str]:
    return [line.text for line in split_lines(a_segment(text, pauses=pauses), language)]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "And Mr. John Dashwood had then leisure. He was not ill.", 2),
        ("en", "It rose 3.5 % to $1.20 on Jan. 3. Was it A.T.&T.? Yes!", 3),
        ("en", "Ask not what your country can do for you", 1),
        ("de", "Das ist z. B. Dr. Müller. Er kam am 3. Oktober.", 2),
        ("zh", "今天天气很好。我们去吧！好。", 3),
        ("ja", "これは会議の記録です。はい。", 2),
        ("hi", "यह है। वह है।", 2),
        ("ar", "كيف حالك؟ أنا بخير.", 2),
        ("xx", "One. Two.", 2),
    ],
)
def test_a_line_is_a_sentence(language: str, text: str, expected: int) -> None:
    found = lines(text, language)
    assert len(found) == expected
    assert "".join("".join(found).split()) == "".join(text.split())


def test_a_short_pause_ends_no_line() -> None:
    text = "ask not what your country can do for you"
    assert lines(text, pauses={3: 1.2}) == [text]


def test_a_long_silence_ends_a_line() -> None:
    found = lines("one two three", pauses={2: LONG_SILENCE_SECONDS})
    assert found == ["one two", "three"]


def test_a_long_sentence_is_cut_between_its_clauses() -> None:
    text = (
        "the house was large and old and stood among tall trees that had not once been cut down, "
        "and the people who lived in it had been there for longer than anybody there could tell"
    )
    found = lines(text)
    assert found == [part.strip() for part in text.replace("down, ", "down,|").split("|")]


def test_a_sentence_of_wide_characters_is_as_long_as_it_looks() -> None:
    text = "很" * LONGEST_COLUMNS
    found = lines(text, "zh")
    assert all(len(line) <= LONGEST_COLUMNS // 2 for line in found)
    assert "".join(found) == text


@pytest.mark.parametrize("text", ["", "word"])
def test_a_text_of_no_more_than_a_word_is_one_line(text: str) -> None:
    segment = Segment(0.0, 1.0, text, (a_word(text, 0.0, 1.0),) if text else ())
    assert (split_lines(segment, "en") if text else []) == ([segment] if text else [])


def test_a_cut_segment_has_the_same_edges_and_text() -> None:
    segment = Segment(
        0.0, 9.0, "A  b, c", (a_word("A", 1, 2), a_word("b,", 2, 3), a_word("c", 4, 5))
    )
    first, second = cut_segment(segment, [0, 2])
    assert (first.start, first.end, first.text) == (0.0, 3, "A  b,")
    assert (second.start, second.end, second.text) == (4, 9.0, "c")
    assert cut_segment(segment, [0]) == [segment]


TEXTS = st.lists(
    st.sampled_from(["a", "b.", "c?", "Mr.", "好", "好。", "นี่", "«", "!", "3.5", "\u00a0", "…"]),
    max_size=60,
).map(" ".join)


@given(TEXTS, st.dictionaries(st.integers(0, 60), st.floats(0, 5)), st.sampled_from(["en", "zh"]))
def test_no_word_and_no_character_is_lost_or_moved(
    text: str, pauses: dict[int, float], language: str
) -> None:
    segment = a_segment(text.strip(), pauses=pauses)
    if not segment.words:
        return
    found = split_lines(segment, language)
    assert [word for line in found for word in line.words] == list(segment.words)
    assert "".join("".join(line.text for line in found).split()) == "".join(text.split())
    assert all(line.end - line.start <= LONGEST_SECONDS or len(line.words) == 1 for line in found)
    assert all(before.end <= line.start for before, line in pairwise(found))

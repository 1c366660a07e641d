"""A corrected line has the words of its new text, at the times of those that stayed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_worker.assembly.corrected_line import confirmed, corrected
from gpu_worker.transcript import Alternative, Flag, Segment, Word
from gpu_worker.words import split_words

LINE = Segment(
    1.0,
    4.0,
    "We met an ice cream.",
    (
        Word("We", 1.0, 1.2, 0.9, "A"),
        Word("met", 1.3, 1.6, 0.9, "A"),
        Word("an", 2.0, 2.1, 0.4, "A", doubt=0.5),
        Word("ice", 2.2, 2.6, 0.3, "A", doubt=0.6),
        Word("cream.", 2.8, 3.6, 0.8, "A"),
    ),
    flags=(Flag("doubtful_word", 0.5, "ice"),),
    alternatives=(Alternative("We met a nice team.", "beam", -0.2),),
)


def told(segment: Segment) -> list[tuple[str, float, float, bool]]:
    return [(word.word, word.start, word.end, word.interpolated) for word in segment.words]


def test_words_that_stay_keep_their_times_and_changed_ones_stand_between_them() -> None:
    line = corrected(LINE, "  We met a nice cream. ")
    assert line.text == "We met a nice cream."
    assert told(line) == [
        ("We", 1.0, 1.2, False),
        ("met", 1.3, 1.6, False),
        ("a", 2.0, 2.1, True),  # one for one: where the wrong word was
        ("nice", 2.2, 2.6, True),
        ("cream.", 2.8, 3.6, False),
    ]
    assert [word.speaker for word in line.words] == ["A"] * 5
    assert (line.flags, line.alternatives) == ((), ())
    assert all(word.doubt is None for word in line.words)


def test_a_corrected_line_has_no_spoken_form_and_a_confirmed_one_keeps_it() -> None:
    words = (
        Word("New", 1.0, 1.4, 0.9, spoken="ennwaisee"),
        Word("York", 1.4, 1.8, 0.9, spoken=""),
        Word("rains", 2.0, 2.4, 0.9),
    )
    line = Segment(1.0, 2.4, "New York rains", words, spoken="ennwaisee rains")
    right = corrected(line, "Old York reigns")
    assert (right.spoken, {word.spoken for word in right.words}) == (None, {None})
    assert (confirmed(line).spoken, confirmed(line).words) == (line.spoken, line.words)


def test_other_marks_and_capitals_move_no_time() -> None:
    line = corrected(LINE, "we met; an Ice Cream!")
    assert [times[1:] for times in told(line)] == [times[1:] for times in told(LINE)]
    assert [word.word for word in line.words] == ["we", "met;", "an", "Ice", "Cream!"]


def test_more_words_than_before_share_the_time_by_their_length() -> None:
    line = corrected(LINE, "We met an icy, cold cream.")
    assert told(line)[3:5] == [("icy,", 2.2, 2.4, True), ("cold", 2.4, 2.6, True)]
    longer = corrected(LINE, "So we met an ice cream. There")
    assert told(longer)[0] == ("So", 1.0, 1.0, True)  # there is no time before the first word
    assert told(longer)[-1] == ("There", 3.6, 4.0, True)


def test_left_out_words_leave_the_others_where_they_are() -> None:
    assert told(corrected(LINE, "We cream."))[1] == ("cream.", 2.8, 3.6, False)


def test_a_line_without_words_gets_a_text_alone() -> None:
    assert corrected(replace(LINE, words=()), "Other.").words == ()


@pytest.mark.parametrize(
    "text", ["Totally other words here", "今日は。", "?", "We « met » an ice – cream", "مرحبا"]
)
def test_the_words_are_all_of_the_text_in_order_within_the_line(text: str) -> None:
    line = corrected(LINE, text)
    assert [word.word for word in line.words] == [text[at:end] for at, end in split_words(text)]
    starts = [word.start for word in line.words]
    assert starts == sorted(starts)
    assert all(LINE.start <= word.start <= word.end <= LINE.end for word in line.words)


def test_a_confirmed_line_has_no_doubt_left() -> None:
    line = confirmed(LINE)
    assert (line.text, line.flags, line.alternatives) == (LINE.text, (), ())
    assert told(line) == told(LINE) and all(word.doubt is None for word in line.words)

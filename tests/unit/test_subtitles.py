from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.errors import InvalidOption
from gpu_worker.subtitles import LATEST_MS, Cue, SubtitleOptions, clean, cues, milliseconds
from gpu_worker.transcript import Segment, Transcript, Word
from tests.unit.transcripts import FORGED, spoken, transcript, transcripts, wild_seconds

COUNTS = st.none() | st.integers(1, 40)
OPTIONS = st.builds(SubtitleOptions, COUNTS, COUNTS, COUNTS, st.booleans())
FOX = spoken(
    ("the", 0.0), ("quick", 0.5), ("brown", 1.0), ("fox", 1.5), ("jumps", 2.0), ("high", 2.5)
)


def texts(said: Transcript, options: SubtitleOptions) -> list[str]:
    return [cue.text for cue in cues(said, options)]


def without_words(said: Transcript) -> Transcript:
    return transcript(*(Segment(s.start, s.end, s.text) for s in said.segments))


@settings(deadline=None)
@given(transcripts(wild_seconds), OPTIONS)
def test_cues_are_ordered_clean_and_never_empty(said: Transcript, options: SubtitleOptions) -> None:
    earliest = 0
    for cue in cues(said, options):
        assert earliest <= cue.start_ms < cue.end_ms
        assert all(line and clean(line) == line for line in cue.text.split("\n"))
        earliest = cue.start_ms


@settings(deadline=None)
@given(transcripts(wild_seconds))
def test_without_options_there_is_one_cue_for_each_segment_with_text(said: Transcript) -> None:
    assert texts(said, SubtitleOptions()) == [
        text for segment in said.segments if (text := clean(segment.text))
    ]


@settings(deadline=None)
@given(transcripts(wild_seconds), COUNTS, COUNTS, COUNTS)
def test_no_option_loses_a_word_of_the_text(
    said: Transcript, width: int | None, lines: int | None, words: int | None
) -> None:
    shown = " ".join(texts(without_words(said), SubtitleOptions(width, lines, words))).split()
    assert shown == [word for segment in said.segments for word in clean(segment.text).split()]


@settings(deadline=None)
@given(transcripts(wild_seconds), st.integers(1, 40), st.integers(1, 3))
def test_lines_keep_to_their_width_and_cues_to_their_lines(
    said: Transcript, width: int, count: int
) -> None:
    for text in texts(without_words(said), SubtitleOptions(width, count)):
        lines = text.split("\n")
        assert len(lines) <= count
        assert all(len(line) <= width or " " not in line for line in lines)


def test_a_width_breaks_lines_and_keeps_the_segment_as_one_cue() -> None:
    assert texts(transcript(FOX), SubtitleOptions(max_line_width=10)) == [
        "the quick\nbrown fox\njumps high"
    ]


def test_a_width_and_a_line_count_cut_a_long_segment_into_cues() -> None:
    shown = list(cues(transcript(FOX), SubtitleOptions(max_line_width=10, max_line_count=2)))
    assert shown == [
        Cue(0, 2000, "the quick\nbrown fox"),
        Cue(2000, 3000, "jumps high"),
    ]


def test_a_width_and_a_line_count_join_short_segments() -> None:
    said = transcript(spoken(("one", 0.0)), spoken(("two", 1.0)))
    assert texts(said, SubtitleOptions(max_line_width=20, max_line_count=1)) == ["one two"]


@pytest.mark.parametrize(("start", "expected"), [(3.0, ["one two"]), (3.1, ["one", "two"])])
def test_a_pause_of_more_than_three_seconds_ends_a_joined_cue(
    start: float, expected: list[str]
) -> None:
    said = transcript(spoken(("one", 0.0)), spoken(("two", start)))
    assert texts(said, SubtitleOptions(max_line_width=20, max_line_count=1)) == expected


def test_another_speaker_ends_a_joined_cue() -> None:
    said = transcript(spoken(("one", 0.0), speaker="A"), spoken(("two", 0.5), speaker="B"))
    shown = cues(said, SubtitleOptions(max_line_width=20, max_line_count=2))
    assert [(cue.text, cue.speaker) for cue in shown] == [("one", "A"), ("two", "B")]


def test_words_per_line_cut_a_segment_and_never_join_two() -> None:
    said = transcript(FOX, spoken(("end", 4.0)))
    assert texts(said, SubtitleOptions(max_words_per_line=4)) == [
        "the quick brown fox",
        "jumps high",
        "end",
    ]


def test_words_per_line_have_no_effect_beside_a_width_and_a_line_count() -> None:
    plain = SubtitleOptions(max_line_width=10, max_line_count=1)
    both = SubtitleOptions(max_line_width=10, max_line_count=1, max_words_per_line=1)
    assert texts(transcript(FOX), both) == texts(transcript(FOX), plain)


def test_a_word_wider_than_the_line_gets_a_line_of_its_own() -> None:
    said = transcript(spoken(("a", 0.0), ("incomprehensible", 0.5), ("b", 1.0)))
    assert texts(said, SubtitleOptions(max_line_width=5)) == ["a\nincomprehensible\nb"]


def test_highlighting_marks_each_word_while_it_is_spoken_and_none_between() -> None:
    said = transcript(spoken(("one", 1.0), ("two", 2.0)))
    shown = list(cues(said, SubtitleOptions(highlight_words=True)))
    assert shown == [
        Cue(1000, 1500, "one two", mark=(0, 3)),
        Cue(1500, 2000, "one two"),
        Cue(2000, 2500, "one two", mark=(4, 7)),
    ]


def test_words_without_spaces_are_shown_as_in_the_text() -> None:
    words = tuple(Word(c, i / 2, i / 2 + 0.5, 0.9) for i, c in enumerate("今日は良い"))
    said = transcript(Segment(0.0, 2.5, "今日は良い。", words))
    assert texts(said, SubtitleOptions(max_line_width=3)) == ["今日は\n良い。"]


def test_punctuation_between_two_words_is_not_lost() -> None:
    words = (Word("yes", 0.0, 0.5, 0.9), Word("no", 1.0, 1.5, 0.9))
    said = transcript(Segment(0.0, 1.5, "« yes – no »", words))
    assert texts(said, SubtitleOptions(max_words_per_line=1)) == ["« yes –", "no »"]


def test_a_segment_without_words_is_cut_at_guessed_times() -> None:
    said = transcript(Segment(10.0, 14.0, "one two"))
    assert list(cues(said, SubtitleOptions(max_words_per_line=1))) == [
        Cue(10_000, 12_285, "one"),
        Cue(12_285, 14_000, "two"),
    ]


def test_cleaned_text_cannot_hold_a_second_cue() -> None:
    assert clean(FORGED) == "one 00:00:05 -> 00:00:06 forged"


@pytest.mark.parametrize("text", ["-->", "--->", "-\x00->", "-----\x1b>"])
def test_no_arrow_is_left_however_it_is_hidden(text: str) -> None:
    assert clean(text) == "->"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (float("nan"), 0),
        (float("inf"), 0),
        (float("-inf"), 0),
        (-0.5, 0),
        (1.2345, 1234),
        (360_000.0, 360_000_000),
        (1e300, LATEST_MS),
    ],
)
def test_any_float_becomes_a_time_that_can_be_written(seconds: float, expected: int) -> None:
    assert milliseconds(seconds) == expected


@pytest.mark.parametrize("name", ["max_line_width", "max_line_count", "max_words_per_line"])
def test_a_limit_under_one_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidOption, match=name):
        SubtitleOptions(**{name: 0})

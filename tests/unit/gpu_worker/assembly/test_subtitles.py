from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.assembly.shown_words import clean, visible_characters
from gpu_worker.assembly.subtitles import Cue, SubtitleOptions, cues
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Segment, Transcript
from gpu_worker.words import split_words
from tests.inputs.transcripts import spoken, transcript, transcripts, wild_seconds
from tests.inputs.writings import WRITINGS, unworded, written

COUNTS = st.none() | st.integers(1, 40)
OPTIONS = st.builds(SubtitleOptions, COUNTS, COUNTS, COUNTS, st.booleans())
FOX = spoken(
    ("the", 0.0), ("quick", 0.5), ("brown", 1.0), ("fox", 1.5), ("jumps", 2.0), ("high", 2.5)
)


def texts(said: Transcript, options: SubtitleOptions) -> list[str]:
    return [cue.text for cue in cues(said, options)]


def unspaced(*parts: str) -> str:
    return "".join("".join(parts).split())


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
def test_no_option_loses_a_character_of_the_text(
    said: Transcript, width: int | None, lines: int | None, words: int | None
) -> None:
    # Also where the words are not those of the text.
    for spoken_or_not in (said, unworded(said)):
        shown = texts(spoken_or_not, SubtitleOptions(width, lines, words))
        assert unspaced(*shown) == unspaced(*(clean(segment.text) for segment in said.segments))


@settings(deadline=None)
@given(transcripts(wild_seconds), st.integers(1, 40), st.integers(1, 3))
def test_lines_keep_to_their_width_and_cues_to_their_lines(
    said: Transcript, width: int, count: int
) -> None:
    for text in texts(unworded(said), SubtitleOptions(width, count)):
        lines = text.split("\n")
        assert len(lines) <= count
        assert all(visible_characters(it) <= width or len(split_words(it)) == 1 for it in lines)


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


def test_a_long_cue_is_not_written_again_for_each_of_its_words() -> None:
    said = transcript(spoken(*((f"word{number}", number * 0.1) for number in range(500))))
    wide = SubtitleOptions(max_line_width=1000, max_line_count=1000)
    assert len(texts(said, wide)) == 1
    with pytest.raises(InvalidOption, match="characters, more than the 2000 of highlight_words"):
        texts(said, SubtitleOptions(1000, 1000, highlight_words=True))
    assert len(texts(said, SubtitleOptions(40, 2, highlight_words=True))) >= 500


def test_highlighting_marks_each_word_while_it_is_spoken_and_none_between() -> None:
    said = transcript(spoken(("one", 1.0), ("two", 2.0)))
    shown = list(cues(said, SubtitleOptions(highlight_words=True)))
    assert shown == [
        Cue(1000, 1500, "one two", mark=(0, 3)),
        Cue(1500, 2000, "one two"),
        Cue(2000, 2500, "one two", mark=(4, 7)),
    ]


@pytest.mark.parametrize("name", WRITINGS)
@pytest.mark.parametrize("width", [None, 1, 5, 12, 200])
def test_lines_joined_give_back_the_text_in_every_script(name: str, width: int | None) -> None:
    said = written(name)
    for one in (said, unworded(said)):
        for options in (SubtitleOptions(width, 2), SubtitleOptions(width, None, 3)):
            shown = [line for text in texts(one, options) for line in text.split("\n")]
            assert unspaced(*shown) == unspaced(said.text)
            assert all(line in said.text for line in shown)


@pytest.mark.parametrize("name", WRITINGS)
def test_a_cue_a_word_shows_the_words_and_tears_no_cluster(name: str) -> None:
    said = written(name)
    words = [word.word for word in said.words]
    for one in (said, unworded(said)):
        assert texts(one, SubtitleOptions(max_words_per_line=1)) == words
        shown = list(cues(one, SubtitleOptions(highlight_words=True)))
        assert [cue.text[slice(*cue.mark)] for cue in shown if cue.mark] == words


@pytest.mark.parametrize(
    ("name", "width", "expected"),
    [
        ("chinese", 4, "今天有记\n录。\n「好」，\n我用\niPhone\n拍了\n3.5%。"),
        ("japanese", 5, "コーヒーを\n飲みます。\n記録を読\nむ。"),
        ("thai", 4, "น้ำนี่เป็\nนที่นี่ส\nวัสดี\nครับ"),
    ],
)
def test_lines_of_scripts_without_spaces_are_cut_between_clusters(
    name: str, width: int, expected: str
) -> None:
    for said in (written(name), unworded(written(name))):
        lines = "\n".join(texts(said, SubtitleOptions(width, 9))).split("\n")
        assert all(
            visible_characters(line) <= width or len(split_words(line)) == 1 for line in lines
        )
        assert lines[: expected.count("\n") + 1] == expected.split("\n")


def test_a_space_between_joined_segments_is_put_where_the_script_has_one() -> None:
    options = SubtitleOptions(max_line_width=99, max_line_count=1)
    for name in WRITINGS:
        assert texts(written(name), options) == [written(name).text]


def test_a_character_is_what_a_reader_takes_for_one() -> None:
    text = "เที่ยว มี न्यू 👨‍👩‍👧"
    assert visible_characters(text) == 10
    assert texts(transcript(Segment(0, 1, text)), SubtitleOptions(10)) == [text]
    assert "\n" in texts(transcript(Segment(0, 1, text)), SubtitleOptions(9))[0]


def test_a_wide_character_counts_once_as_in_openai_whisper() -> None:
    said = transcript(Segment(0.0, 2.0, "今天有记录今天"))
    assert texts(said, SubtitleOptions(max_line_width=5)) == ["今天有记录\n今天"]


def test_a_prefix_takes_its_room_from_the_first_line_of_each_cue() -> None:
    said = transcript(spoken(*((word, index / 2) for index, word in enumerate("abcdefgh"))))
    shown = cues(said, SubtitleOptions(5, 2), prefix=lambda speaker: "XX ")
    assert [cue.text for cue in shown] == ["a\nb c d", "e\nf g h"]
    one_cue = cues(said, SubtitleOptions(5), prefix=lambda speaker: "XX ")
    assert [cue.text for cue in one_cue] == ["a\nb c d\ne f g\nh"]


def test_a_prefix_wider_than_the_line_leaves_room_for_one_word() -> None:
    shown = cues(transcript(FOX), SubtitleOptions(9), prefix=lambda speaker: "X" * 20)
    assert next(shown).text == "the\nquick\nbrown fox\njumps\nhigh"


def test_a_segment_without_words_is_cut_at_guessed_times() -> None:
    said = transcript(Segment(10.0, 14.0, "one two"))
    assert list(cues(said, SubtitleOptions(max_words_per_line=1))) == [
        Cue(10_000, 12_285, "one"),
        Cue(12_285, 14_000, "two"),
    ]


@pytest.mark.parametrize("name", ["max_line_width", "max_line_count", "max_words_per_line"])
def test_a_limit_under_one_is_refused_by_name(name: str) -> None:
    limit: dict[str, Any] = {name: 0}
    with pytest.raises(InvalidOption, match=name):
        SubtitleOptions(**limit)

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.assembly.cue import Cue
from gpu_worker.assembly.formats import render
from gpu_worker.assembly.shown_words import clean
from gpu_worker.assembly.subtitle_profiles import PROFILES
from gpu_worker.assembly.subtitle_report import report_of
from gpu_worker.assembly.subtitles import SubtitleOptions, cues
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Segment, Transcript, Word
from tests.inputs.transcripts import spoken, transcript, transcripts, wild_seconds
from tests.inputs.writings import WRITINGS, unworded, written

NAMES = st.sampled_from(sorted(PROFILES))
NETFLIX, BBC = SubtitleOptions(profile="netflix"), SubtitleOptions(profile="bbc")


def rules(said: Transcript, options: SubtitleOptions) -> list[str]:
    """The rules that the cues of this transcript violate."""
    assert options.profile is not None
    found = report_of(list(cues(said, options)), options.profile, options.frame_rate, said.language)
    return [violation.rule for violation in found.violations]


def talk(text: str, seconds_a_word: float, start: float = 0.0) -> Segment:
    """A segment in which each word takes as long."""
    words = text.split()
    timed = ((word, start + place * seconds_a_word) for place, word in enumerate(words))
    return spoken(*timed, seconds_a_word=seconds_a_word)


@st.composite
def unhurried(draw: st.DrawFn) -> Transcript:
    """What one person says at up to 12 characters a second, with pauses."""
    start, words = 0.0, []
    for length in draw(st.lists(st.integers(1, 12), min_size=1, max_size=40)):
        seconds = max((length + 1) / 12, draw(st.floats(0.35, 1.2)))
        mark = draw(st.sampled_from(["", "", "", ",", "."]))
        words.append(Word("a" * length + mark, start, start + seconds, 0.9))
        start += seconds + draw(st.sampled_from([0.0, 0.0, 0.1, 0.7, 1.4, 3.0]))
    text = " ".join(word.word for word in words)
    return transcript(Segment(0.0, words[-1].end, text, tuple(words)))


@settings(deadline=None)
@given(transcripts(wild_seconds), NAMES, st.none() | st.floats(12, 120))
def test_any_transcript_gives_cues_in_order_that_hold_all_words_and_never_overlap(
    said: Transcript, name: str, frame_rate: float | None
) -> None:
    for one in (said, unworded(said)):
        shown = list(cues(one, SubtitleOptions(profile=name, frame_rate=frame_rate)))
        assert all(cue.start_ms < cue.end_ms for cue in shown)
        assert all(before.end_ms <= after.start_ms for before, after in pairwise(shown))
        assert all(clean(line) == line != "" for cue in shown for line in cue.text.split("\n"))
        joined = "".join("".join(cue.text for cue in shown).split())
        assert joined == "".join("".join(clean(it.text) for it in one.segments).split())


@settings(deadline=None)
@given(unhurried(), NAMES)
def test_what_is_said_without_haste_violates_nothing(said: Transcript, name: str) -> None:
    assert rules(said, SubtitleOptions(profile=name)) == []


@pytest.mark.parametrize("frame_rate", [23.976, 24.0, 25.0, 29.97, 50.0, 60.0])
@pytest.mark.parametrize("name", PROFILES)
def test_every_frame_rate_keeps_to_the_limits(name: str, frame_rate: float) -> None:
    text = "We saw the ships, and they were far away from us. " * 20
    said = transcript(talk(text, 0.35), talk(text, 0.4, 100.0))
    assert rules(said, SubtitleOptions(profile=name, frame_rate=frame_rate)) == []


def test_a_cue_ends_with_a_sentence_where_one_ends() -> None:
    said = transcript(talk("We had seen the ships by then. Nobody in the town had.", 0.4))
    assert [cue.text for cue in cues(said, NETFLIX)] == [
        "We had seen the ships by then.",
        "Nobody in the town had.",
    ]


def test_short_segments_are_joined_to_a_cue_that_can_be_read() -> None:
    said = transcript(talk("No.", 0.3), talk("No.", 0.3, 0.3), talk("It is mine.", 0.3, 0.6))
    assert [cue.text for cue in cues(said, NETFLIX)] == ["No. No. It is mine."]


def test_a_short_word_stays_until_it_can_be_read_and_an_end_lingers_in_silence() -> None:
    (yes,) = cues(transcript(spoken(("Yes.", 10.0), seconds_a_word=0.2)), NETFLIX)
    assert (yes.start_ms, yes.end_ms) == (10_000, 10_833)
    fast = transcript(talk("They sailed before anyone could have seen them.", 0.25))
    (cue,) = cues(fast, NETFLIX)
    assert cue.end_ms == 2_375  # 47 characters at 20 a second take 2,350 ms: 57 frames


def test_a_small_gap_is_closed_to_two_frames_and_a_wide_one_is_left() -> None:
    long = "There were many ships on the sea, and none came in."
    for pause, gap in ((0.3, 83), (1.0, 1000)):
        said = transcript(talk(long, 0.4), talk(long, 0.4, 11 * 0.4 + pause))
        first, second, *_ = (cue for cue in cues(said, NETFLIX))
        shown = [cue for cue in cues(said, NETFLIX) if cue.text.startswith("There")]
        before = max(cue.end_ms for cue in cues(said, NETFLIX) if cue.end_ms <= shown[1].start_ms)
        assert abs(shown[1].start_ms - before - gap) <= 42
        assert first.end_ms <= second.start_ms


def test_another_speaker_and_another_language_begin_a_cue() -> None:
    said = transcript(
        spoken(("One", 0.0), ("two.", 0.5), speaker="A"),
        spoken(("Three", 1.0), ("four.", 1.5), speaker="B"),
        Segment(2.0, 4.0, "今天有记录。", speaker="B", language="zh"),
    )
    shown = list(cues(said, NETFLIX))
    assert [(cue.speaker, cue.language) for cue in shown] == [
        ("A", None),
        ("B", None),
        ("B", "zh"),
    ]


def test_a_line_breaks_after_a_mark_and_not_behind_a_short_word() -> None:
    said = transcript(talk("They left for the harbour, and all the children ran after them.", 0.4))
    assert [cue.text for cue in cues(said, NETFLIX)] == [
        "They left for the harbour,\nand all the children ran after them."
    ]


def test_who_speaks_thirty_characters_a_second_is_reported() -> None:
    said = transcript(talk("People sometimes speak faster than people read. " * 12, 8 / 30))
    assert "characters_a_second" in rules(said, NETFLIX)
    assert {"words_a_minute"} == set(rules(said, BBC))


def test_a_word_wider_than_a_line_is_reported_and_shown() -> None:
    said = transcript(spoken(("incomprehensibilities" * 3, 0.0), seconds_a_word=4.0))
    assert rules(said, NETFLIX) == ["line_width"]


def test_a_word_that_seems_to_last_ten_seconds_is_shown_for_seven() -> None:
    said = transcript(spoken(("Well,", 0.0), seconds_a_word=10.0), spoken(("yes.", 10.0)))
    assert rules(said, NETFLIX) == []
    assert next(iter(cues(said, NETFLIX))).end_ms <= 7_000


def test_where_the_bbc_permits_it_a_fast_cue_begins_in_the_silence_before_it() -> None:
    fast = "we have all been there in that one"
    said = transcript(
        talk("Some time ago.", 0.5), talk(fast, 0.15, 10.0), spoken(("Yes.", 11.3), speaker="B")
    )
    assert rules(said, BBC) == []
    early = list(cues(said, BBC))[1]
    assert 8_500 <= early.start_ms < 10_000 < early.end_ms
    assert list(cues(said, NETFLIX))[1].start_ms == 10_000


def test_no_cue_stays_after_the_end_of_the_audio() -> None:
    said = Transcript("en", 1.0, (spoken(("Yes.", 0.8), seconds_a_word=0.2),))
    (cue,) = cues(said, NETFLIX)
    assert cue.end_ms == 1_000
    assert rules(said, NETFLIX) == ["shortest"]


@pytest.mark.parametrize("name", WRITINGS)
def test_every_script_keeps_its_text(name: str) -> None:
    for options in (NETFLIX, BBC):
        for said in (written(name), unworded(written(name))):
            joined = "".join("".join(cue.text for cue in cues(said, options)).split())
            assert joined == "".join(said.text.split())


def test_srt_and_vtt_show_the_same_cues_without_speakers_in_the_text() -> None:
    said = transcript(spoken(("Hello", 0.0), ("there.", 0.5), speaker="SPEAKER_00"))
    assert render(said, "srt", NETFLIX) == "1\n00:00:00,000 --> 00:00:01,000\nHello there.\n\n"
    assert "00:01.000\n<v SPEAKER_00>Hello there.\n" in render(said, "vtt", NETFLIX)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"profile": "cinema"}, "no subtitle profile 'cinema'"),
        ({"profile": "bbc", "frame_rate": 5.0}, "frame_rate is 5"),
        ({"profile": "bbc", "frame_rate": float("nan")}, "frame_rate is nan"),
        ({"frame_rate": 25.0}, "frame_rate needs a profile"),
        ({"profile": "bbc", "max_line_width": 30}, "A profile sets all limits"),
        ({"profile": "bbc", "highlight_words": True}, "A profile sets all limits"),
    ],
)
def test_a_profile_is_refused_with_what_it_cannot_go_with(
    given: dict[str, object], match: str
) -> None:
    with pytest.raises(InvalidOption, match=match):
        SubtitleOptions(**given)  # type: ignore[arg-type]


def test_a_cue_is_one_record_for_all_that_make_and_read_them() -> None:
    assert Cue(0, 1, "a") == Cue(0, 1, "a", None, None, None)

"""Chunks become one transcript that names what is missing."""

from __future__ import annotations

import pytest

from gpu_worker.assembly.merging import MissingSpan, merge_chunks
from gpu_worker.diarization import Diarization
from gpu_worker.transcript import Segment, TranscriptWarning, Turn, Word, transcript_to_json

FIRST, SECOND = Segment(0.0, 1.0, "one"), Segment(5.0, 6.0, "two")


def test_segments_keep_the_order_of_their_chunks() -> None:
    merged = merge_chunks([[FIRST], [], [SECOND]], language="en", duration=9.0)
    assert merged.segments == (FIRST, SECOND)
    assert (merged.language, merged.duration, merged.warnings) == ("en", 9.0, ())


def test_a_missing_span_becomes_a_warning_with_its_reason() -> None:
    span = MissingSpan(1.0, 5.0, "chunk_crashed", "The worker died.")
    merged = merge_chunks([[FIRST]], language="en", duration=9.0, missing=[span])
    (warning,) = merged.warnings
    assert (warning.code, warning.start, warning.end) == ("missing_span", 1.0, 5.0)
    assert "chunk_crashed" in warning.message and "The worker died." in warning.message


def test_audio_without_speech_has_no_language_and_says_so() -> None:
    merged = merge_chunks([[], []], language="en", duration=9.0)
    assert merged.language is None
    assert [warning.code for warning in merged.warnings] == ["no_speech"]


@pytest.mark.parametrize(
    ("speech_seconds", "code"), [(0.0, "no_speech"), (2.5, "speech_without_text")]
)
def test_speech_that_became_no_text_is_told_from_silence(speech_seconds: float, code: str) -> None:
    merged = merge_chunks([[]], language="en", duration=9.0, speech_seconds=speech_seconds)
    (warning,) = merged.warnings
    assert (warning.code, warning.start, warning.end) == (code, 0.0, 9.0)
    with_text = merge_chunks([[FIRST]], language="en", duration=9.0, speech_seconds=speech_seconds)
    assert with_text.warnings == ()


def test_a_missing_span_is_not_taken_for_silence() -> None:
    span = MissingSpan(0.0, 9.0, "chunk_crashed", "The worker died.")
    merged = merge_chunks([], language=None, duration=9.0, missing=[span])
    assert [warning.code for warning in merged.warnings] == ["missing_span"]


def test_warnings_of_the_audio_come_first() -> None:
    told = TranscriptWarning("truncated_audio", "It ends early.")
    span = MissingSpan(0.0, 1.0, "x", "y")
    merged = merge_chunks([[SECOND]], language="en", duration=9.0, missing=[span], warnings=[told])
    assert [warning.code for warning in merged.warnings] == ["truncated_audio", "missing_span"]


def test_turns_of_speakers_who_are_known_already_are_published() -> None:
    turns = (Turn(0.0, 1.0, "SPEAKER_00"),)
    assert merge_chunks([[FIRST]], language="en", duration=9.0, turns=turns).turns == turns


def words(*spans: tuple[float, float]) -> tuple[Word, ...]:
    return tuple(Word(f"w{number}", *span, 0.9) for number, span in enumerate(spans))


def test_words_and_segments_end_with_the_file_and_none_is_lost() -> None:
    spoken = Segment(8.0, 11.0, "w0 w1 w2", words((8.0, 8.5), (8.8, 9.7), (10.0, 11.0)))
    behind = Segment(9.5, 11.0, "late")
    merged = merge_chunks([[spoken, behind]], language="en", duration=9.0)
    assert merged.text == "w0 w1 w2 late"
    assert [(segment.start, segment.end) for segment in merged.segments] == [(8.0, 9.0), (9.0, 9.0)]
    times = [(word.start, word.end) for word in merged.segments[0].words]
    assert times == [(8.0, 8.5), (8.8, 9.0), (9.0, 9.0)]


def test_turns_end_with_the_file_and_those_behind_it_are_left_out() -> None:
    said = Segment(8.0, 8.5, "w0", words((8.0, 8.5)))
    turns = (Turn(0.0, 9.7, "SPEAKER_00"), Turn(9.2, 9.7, "SPEAKER_01"))
    given = merge_chunks([[said]], language="en", duration=9.0, turns=turns)
    found = merge_chunks(
        [[said]], language="en", duration=9.0, diarization=Diarization(turns, turns)
    )
    assert given.turns == found.turns == (Turn(0.0, 9.0, "SPEAKER_00"),)
    assert found.segments[0].speaker == "SPEAKER_00"


def test_what_ends_in_time_is_left_as_it_is() -> None:
    said = Segment(8.0, 9.0, "w0", words((8.0, 9.0)))
    assert merge_chunks([[said]], language="en", duration=9.0).segments[0] is said


def test_the_language_is_the_one_of_most_speech_and_other_segments_keep_theirs() -> None:
    chunks = [
        [Segment(0, 2, "a", language="en"), Segment(2, 9, "b", language="de")],
        [Segment(9, 12, "c", language="de"), Segment(12, 13, "d", language="es")],
    ]
    merged = merge_chunks(chunks, language="en", duration=13.0)
    assert merged.language == "de"
    assert [segment.language for segment in merged.segments] == ["en", None, None, "es"]
    written = transcript_to_json(merged)["segments"]
    assert [line.get("language") for line in written] == ["en", None, None, "es"]


def test_a_translation_is_judged_by_the_rules_of_english_whatever_was_spoken() -> None:
    said = "It was raining on the day we met at the old harbour."  # 14 letters a second
    lines = [
        Segment(0.0, 3.0, said, language="ja"),
        Segment(3.2, 4.2, "He lives on Baker St.", language="ru"),
        Segment(4.3, 5.0, "and works there.", language="ru"),
    ]
    spoken = merge_chunks([lines], language=None, duration=9.0)
    assert "too_fast" in [flag.code for flag in spoken.segments[0].flags]
    assert spoken.segments[1].text == "He lives on Baker St"
    merged = merge_chunks([lines], language=None, duration=9.0, written="en")
    assert [segment.flags for segment in merged.segments] == [(), (), ()]
    assert [segment.text for segment in merged.segments] == [line.text for line in lines]
    assert (merged.language, merged.segments[1].language) == ("ja", "ru")

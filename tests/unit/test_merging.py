"""Chunks become one transcript that names what is missing."""

from __future__ import annotations

from gpu_worker.merging import MissingSpan, merge_chunks
from gpu_worker.transcript import Notice, Segment, Turn

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


def test_a_missing_span_is_not_taken_for_silence() -> None:
    span = MissingSpan(0.0, 9.0, "chunk_crashed", "The worker died.")
    merged = merge_chunks([], language=None, duration=9.0, missing=[span])
    assert [warning.code for warning in merged.warnings] == ["missing_span"]


def test_warnings_of_the_audio_come_first() -> None:
    told = Notice("truncated_audio", "It ends early.")
    span = MissingSpan(0.0, 1.0, "x", "y")
    merged = merge_chunks([[SECOND]], language="en", duration=9.0, missing=[span], warnings=[told])
    assert [warning.code for warning in merged.warnings] == ["truncated_audio", "missing_span"]


def test_turns_of_speakers_who_are_known_already_are_published() -> None:
    turns = (Turn(0.0, 1.0, "SPEAKER_00"),)
    assert merge_chunks([[FIRST]], language="en", duration=9.0, turns=turns).turns == turns

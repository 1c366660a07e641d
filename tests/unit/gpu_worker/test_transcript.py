from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings

from gpu_worker.transcript import (
    Alternative,
    Flag,
    Review,
    Segment,
    Transcript,
    TranscriptWarning,
    Turn,
    Word,
    segment_to_json,
    segments_from_json,
    transcript_from_json,
    transcript_to_json,
)
from tests.inputs.transcripts import seconds, spoken, transcript, transcripts


@settings(deadline=None)
@given(transcripts(seconds))
def test_a_transcript_survives_json(original: Transcript) -> None:
    carried = json.loads(json.dumps(transcript_to_json(original)))
    assert transcript_from_json(carried) == original


@settings(deadline=None)
@given(transcripts(seconds))
def test_segments_survive_json_on_their_own(original: Transcript) -> None:
    carried = json.loads(json.dumps([segment_to_json(segment) for segment in original.segments]))
    assert segments_from_json(carried) == original.segments


@pytest.mark.slow
@settings(deadline=None)
@given(transcripts(seconds))
def test_every_word_in_the_json_is_timed(original: Transcript) -> None:
    data = transcript_to_json(original)
    listed = [word for segment in data["segments"] for word in segment["words"]]
    assert listed == data["word_segments"]
    assert all(isinstance(word[edge], float) for word in listed for edge in ("start", "end"))


def test_a_word_cannot_be_made_without_times() -> None:
    with pytest.raises(TypeError):
        Word("hello", score=1.0)  # type: ignore[call-arg]


def test_a_guessed_time_is_flagged_and_a_measured_one_is_not() -> None:
    guessed = Word("1984", 1.0, 1.2, 0.0, interpolated=True)
    measured = Word("in", 0.8, 1.0, 0.9)
    segment = Segment(0.8, 1.2, "in 1984", (measured, guessed))
    first, second = segment_to_json(segment)["words"]
    assert "interpolated" not in first
    assert second["interpolated"] is True


def test_the_json_has_the_keys_that_whisperx_users_read() -> None:
    data = transcript_to_json(transcript(spoken(("hello", 1.0), speaker="SPEAKER_00")))
    assert {"segments", "word_segments", "language"} <= data.keys()
    assert {"start", "end", "text", "words", "speaker"} <= data["segments"][0].keys()
    assert data["word_segments"] == [
        {"word": "hello", "start": 1.0, "end": 1.5, "score": 0.9, "speaker": "SPEAKER_00"}
    ]


def test_a_missing_speaker_is_left_out_rather_than_null() -> None:
    data = transcript_to_json(transcript(spoken(("hello", 1.0))))
    assert "speaker" not in data["segments"][0]
    assert "speaker" not in data["word_segments"][0]


def test_the_text_is_one_line_without_the_empty_segments() -> None:
    said = transcript(Segment(0, 1, " Hello"), Segment(1, 2, "  "), Segment(2, 3, "there. "))
    assert said.text == "Hello there."


def test_a_transcript_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        transcript().duration = 1.0  # type: ignore[misc]


def test_flags_alternatives_and_the_review_list_survive_json() -> None:
    segment = Segment(
        1.0,
        2.0,
        "Ja.",
        language="de",
        flags=(Flag("repetition", 0.9, "It says the same three times."),),
        alternatives=(Alternative("Ja, ja.", "greedy", -0.4),),
    )
    review = (Review(1.0, 2.0, 0.9, ("repetition",), 0), Review(3.0, 4.0, 0.5, ("no_text",)))
    original = Transcript("en", 5.0, (segment,), review=review)
    carried = json.loads(json.dumps(transcript_to_json(original)))
    assert transcript_from_json(carried) == original


def test_fields_of_a_later_release_are_ignored_everywhere() -> None:
    original = Transcript(
        "en",
        2.0,
        (
            Segment(
                0.0,
                1.0,
                "Hi",
                (Word("Hi", 0.0, 1.0, 0.9),),
                flags=(Flag("x", 0.5, "y"),),
                alternatives=(Alternative("Ho", "beam", -0.2),),
            ),
        ),
        (TranscriptWarning("z", "w"),),
        (Turn(0.0, 1.0, "A"),),
        (Review(0.0, 1.0, 0.5, ("x",), 0),),
    )

    def later(value: Any) -> Any:
        if isinstance(value, list):
            return [later(item) for item in value]
        if isinstance(value, dict):
            return {"of_a_later_release": 1, **{key: later(item) for key, item in value.items()}}
        return value

    assert transcript_from_json(later(transcript_to_json(original))) == original

"""What OpenAI's own client makes of a transcript in its shapes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionVerbose,
    TranslationVerbose,
)

from gpu_worker.assembly.formats import render
from gpu_worker.transcript import Segment, Transcript, TranscriptWarning, Word
from orchestrator.api.openai.replies import ReplyFormat, reply_json, reply_text, speaker_letters
from tests.inputs.writings import WRITINGS, written

WORDS = (Word("good", 0.5, 0.9, 0.9), Word("morning", 0.9, 1.5, 0.8, interpolated=True))
TALK = Transcript(
    language="en",
    duration=8.47,
    segments=(
        Segment(0.5, 1.5, "good morning", WORDS, avg_logprob=-0.2, speaker="SPEAKER_01"),
        Segment(2.0, 3.0, " thank you", speaker="SPEAKER_00", temperature=0.2),
        Segment(3.0, 3.5, "  "),
    ),
)


def body(form: ReplyFormat, transcript: Transcript = TALK, **asked: Any) -> dict[str, Any]:
    return json.loads(json.dumps(reply_json(transcript, form, **asked), allow_nan=False))


def said_by(*speakers: str | None) -> Transcript:
    return replace(
        TALK, segments=tuple(Segment(0, 1, "yes", speaker=speaker) for speaker in speakers)
    )


def test_json_is_the_text_and_what_it_would_cost() -> None:
    found = body(ReplyFormat.JSON)
    assert found == {
        "text": "good morning thank you",
        "usage": {"type": "duration", "seconds": 9},
    }
    assert Transcription.model_validate(found, strict=True).text == "good morning thank you"


def test_verbose_json_has_segments_and_the_languages_english_name() -> None:
    found = body(ReplyFormat.VERBOSE_JSON)
    assert (found["task"], found["language"], found["duration"]) == ("transcribe", "english", 8.47)
    assert "words" not in found
    assert found["segments"][0] == {
        "id": 0, "seek": 50, "start": 0.5, "end": 1.5, "text": "good morning", "tokens": [],
        "temperature": 0.0, "avg_logprob": -0.2, "compression_ratio": 0.0,
        "no_speech_prob": 0.0, "speaker": "SPEAKER_01",
    }  # fmt: skip
    assert TranscriptionVerbose.model_validate(found).segments


def test_verbose_json_of_words_alone_leaves_segments_out() -> None:
    found = body(ReplyFormat.VERBOSE_JSON, granularities=frozenset({"word"}))
    assert "segments" not in found
    assert found["words"] == [
        {"word": "good", "start": 0.5, "end": 0.9},
        {"word": "morning", "start": 0.9, "end": 1.5},
    ]


@pytest.mark.parametrize("name", WRITINGS)
def test_every_reply_holds_the_text_as_it_was_written(name: str) -> None:
    talk = written(name, "SPEAKER_00")
    lines = [segment.text for segment in talk.segments]
    told = frozenset({"word", "segment"})
    found = body(ReplyFormat.VERBOSE_JSON, talk, granularities=told)
    assert (found["text"], [it["text"] for it in found["segments"]]) == (talk.text, lines)
    assert found["words"] == [
        {"word": word.word, "start": word.start, "end": word.end} for word in talk.words
    ]
    assert body(ReplyFormat.JSON, talk)["text"] == talk.text
    diarized = body(ReplyFormat.DIARIZED_JSON, talk)
    assert (diarized["text"], [it["text"] for it in diarized["segments"]]) == (talk.text, lines)
    assert reply_text(talk, ReplyFormat.TEXT) == f"{talk.text}\n"
    assert reply_text(talk, ReplyFormat.SRT) == render(talk, "srt")
    assert reply_text(talk, ReplyFormat.VTT) == render(talk, "vtt")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("numbers", ["$3.5", "12:30,", "AT&T:", "100%", "up-to-date.", "l'e-mail", "U.S.A. ?"]),
        ("chinese", ["「好」，", "iPhone", "3.5%。"]),
        ("thai", ["น้ำ", "เป็"]),
        ("emoji", ["👨‍👩‍👧", "👍🏽!", "🇩🇪"]),
    ],
)
def test_a_word_of_a_reply_is_what_a_reader_calls_one(name: str, words: list[str]) -> None:
    told = frozenset({"word"})
    found = body(ReplyFormat.VERBOSE_JSON, written(name), granularities=told)
    assert set(words) <= {word["word"] for word in found["words"]}


def test_a_translation_is_english_whatever_was_spoken() -> None:
    spanish = replace(TALK, language="es")
    found = body(ReplyFormat.VERBOSE_JSON, spanish, task="translate")
    assert (found["task"], found["language"]) == ("translate", "english")
    assert TranslationVerbose.model_validate(found).language == "english"


@pytest.mark.parametrize(
    ("code", "name"), [("es", "spanish"), ("xx", "xx"), (None, "unknown"), ("yue", "cantonese")]
)
def test_languages_go_by_their_names(code: str | None, name: str) -> None:
    assert body(ReplyFormat.VERBOSE_JSON, replace(TALK, language=code))["language"] == name


def test_diarized_json_letters_speakers_as_they_are_heard_and_skips_empty_lines() -> None:
    found = body(ReplyFormat.DIARIZED_JSON)
    assert [(line["id"], line["speaker"], line["text"]) for line in found["segments"]] == [
        ("seg_000", "A", "good morning"),
        ("seg_001", "B", "thank you"),
    ]
    assert {line["type"] for line in found["segments"]} == {"transcript.text.segment"}
    assert TranscriptionDiarized.model_validate(found, strict=True).duration == 8.47


def test_known_names_stay_and_no_letter_is_given_twice() -> None:
    talk = said_by("SPEAKER_00", "B", "SPEAKER_03", "anna", None)
    found = body(ReplyFormat.DIARIZED_JSON, talk)
    assert [line["speaker"] for line in found["segments"]] == ["A", "B", "C", "anna", "unknown"]


def test_there_are_letters_for_more_than_26_speakers() -> None:
    talk = said_by(*(f"SPEAKER_{number:02d}" for number in range(28)))
    assert list(speaker_letters(talk).values())[24:] == ["Y", "Z", "AA", "AB"]


def test_what_is_missing_is_told_in_every_json() -> None:
    partial = replace(
        TALK,
        warnings=(
            TranscriptWarning("missing_span", "Not transcribed.", 4.0, math.inf),
            TranscriptWarning("loud", "!"),
        ),
    )
    for form in (ReplyFormat.JSON, ReplyFormat.VERBOSE_JSON, ReplyFormat.DIARIZED_JSON):
        assert body(form, partial)["warnings"] == [
            {"code": "missing_span", "message": "Not transcribed.", "start": 4.0, "end": 0.0},
            {"code": "loud", "message": "!"},
        ]


def test_nothing_in_a_transcript_can_break_json() -> None:
    odd = Segment(
        0, math.nan, "\ud800 \x00", (Word("\udfff", 0, 1, 1),), math.inf, speaker="\ud800"
    )
    talk = replace(TALK, segments=(odd,), duration=math.nan)
    told = frozenset({"word", "segment"})
    text = json.dumps(reply_json(talk, ReplyFormat.VERBOSE_JSON, granularities=told))
    assert "\\ud8" not in text and "NaN" not in text and "Infinity" not in text
    assert reply_text(talk, ReplyFormat.TEXT).encode()


def test_text_formats_are_those_of_the_cluster() -> None:
    assert reply_text(TALK, ReplyFormat.TEXT) == "good morning thank you\n"
    assert "00:00:00,500 --> 00:00:01,500\n" in reply_text(TALK, ReplyFormat.SRT)
    assert reply_text(TALK, ReplyFormat.VTT).startswith("WEBVTT\n")
    assert [form.media_type.partition(";")[0] for form in ReplyFormat if form.is_text] == [
        "text/plain", "application/x-subrip", "text/vtt",
    ]  # fmt: skip
    assert ReplyFormat.JSON.media_type == "application/json"

"""The pieces of a streamed transcript make its text, and nothing is said twice."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from gpu_worker.transcript import Segment, Transcript, TranscriptWarning
from orchestrator.api.openai.replies import ReplyFormat
from orchestrator.api.openai.stream import TextStream
from tests.inputs.writings import WRITINGS, written

CHUNKS = (
    (Segment(0, 1, " hello"), Segment(1, 2, "  ")),
    (),
    (Segment(2, 3, "peter "), Segment(3, 4, "good morning")),
)
TALK = Transcript("en", 4.0, tuple(segment for chunk in CHUNKS for segment in chunk))


def events(*chunks: tuple[Segment, ...], end: Transcript = TALK, **kind: Any) -> list[Any]:
    stream = TextStream(kind.get("form", ReplyFormat.JSON))
    sent = [event for chunk in chunks for event in stream.more(chunk)]
    return sent + list(stream.end(end))


def text(sent: list[Any]) -> str:
    return "".join(event.get("delta", "") for event in sent)


def test_deltas_joined_are_the_transcripts_text() -> None:
    *deltas, done = events(*CHUNKS)
    assert [event["delta"] for event in deltas] == ["hello", " peter", " good morning"]
    assert done == {
        "type": "transcript.text.done",
        "text": text(deltas),
        "usage": {"type": "duration", "seconds": 4},
    }


@pytest.mark.parametrize("first", WRITINGS)
@pytest.mark.parametrize("second", WRITINGS)
def test_deltas_joined_are_the_text_in_every_script(first: str, second: str) -> None:
    segments = (*written(first).segments, *written(second).segments)
    talk = Transcript("en", 4.0, segments)
    chunks = [tuple(part) for _, part in groupby(segments, key=lambda it: it.start < 2)]
    *deltas, done = events(*chunks, end=talk)
    assert text(deltas) == done["text"] == talk.text
    assert [event["delta"].strip() for event in deltas] == [it.text for it in segments]


def test_no_space_is_sent_where_the_script_has_none() -> None:
    talk = written("chinese")
    *deltas, _ = events(talk.segments, end=talk)
    assert [event["delta"] for event in deltas] == [
        "今天有记录。",
        "「好」，我用 iPhone 拍了 3.5%。",
        "再见！",
    ]


def test_what_was_not_sent_yet_comes_before_the_end() -> None:
    for known in range(len(CHUNKS)):
        *deltas, done = events(*CHUNKS[:known])
        assert text(deltas) == done["text"] == TALK.text


def test_a_text_that_came_out_otherwise_is_told_whole_at_the_end() -> None:
    *deltas, done = events((Segment(0, 1, "another"),))
    assert (text(deltas), done["text"]) == ("another", TALK.text)


def test_a_silent_file_has_an_end_and_says_why() -> None:
    silent = Transcript(
        None, 4.0, warnings=(TranscriptWarning("no_speech", "No speech was found."),)
    )
    (done,) = events(end=silent)
    assert (done["text"], done["warnings"][0]["code"]) == ("", "no_speech")


def test_speakers_follow_the_text() -> None:
    talk = Transcript("en", 2.0, (Segment(0, 1, "hello", speaker="SPEAKER_00"),))
    sent = events((Segment(0, 1, "hello"),), end=talk, form=ReplyFormat.DIARIZED_JSON)
    assert [event["type"].rpartition(".")[2] for event in sent] == ["delta", "segment", "done"]
    assert (sent[1]["speaker"], sent[1]["text"]) == ("A", "hello")

"""Where two transcripts differ: the lines with the most words first."""

from __future__ import annotations

import pytest

from gpu_worker.accuracy.disagreement import disagreement
from gpu_worker.transcript import Segment, Transcript, transcript_to_json

pytestmark = pytest.mark.slow  # it imports transformers


def transcript(*lines: str) -> dict[str, object]:
    segments = tuple(Segment(10.0 * n, 10.0 * n + 9, text) for n, text in enumerate(lines))
    return transcript_to_json(Transcript("de", 30.0, segments))


def test_lines_are_placed_and_the_worst_is_first() -> None:
    first = transcript("one two three", "four five six", "seven eight nine")
    found = disagreement(first, transcript("one too three four", "seven eight nine"), "de")
    assert (found["words"], found["errors"]) == (9, 3)
    worst, other = found["spans"]
    assert (worst["start"], worst["end"], worst["errors"]) == (10.0, 19.0, 2)
    assert (worst["first"], worst["second"]) == ("four five six", "four")
    assert (other["start"], other["second"]) == (0.0, "one too three")


def test_equal_texts_differ_nowhere_and_text_in_place_of_none_is_counted() -> None:
    same = transcript("One, two.", "Three!")
    assert disagreement(same, transcript("one two three"), "de")["spans"] == []
    found = disagreement(transcript(), same, "de")
    assert (found["words"], found["errors"], found["spans"]) == (0, 3, [])
    assert disagreement(same, transcript(), "de")["errors"] == 3


def test_what_was_heard_is_compared_and_not_what_a_vocabulary_has_written() -> None:
    written = (Segment(0.0, 2.0, "f*** this PyTorch", spoken="fuck this pie torch"),)
    first = transcript_to_json(Transcript("en", 3.0, written))
    second = transcript_to_json(Transcript("en", 3.0, (Segment(0.0, 2.0, "fuck this pie tort"),)))
    found = disagreement(first, second, "en")
    assert (found["words"], found["errors"]) == (4, 1)
    assert found["spans"][0]["first"] == "fuck this pie torch"

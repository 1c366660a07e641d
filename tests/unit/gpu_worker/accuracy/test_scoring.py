"""Transcripts of labelled recordings are scored, and sides compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu_worker.accuracy.labelled import LabelledFile
from gpu_worker.accuracy.scoring import ENOUGH_FILES, answer
from gpu_worker.transcript import Segment, Transcript, Turn, Word, transcript_to_json

pytestmark = pytest.mark.slow  # it imports transformers and pyannote

SAID = "one two three four five six seven eight nine ten"
TURNS = (Turn(0.0, 5.0, "anna"), Turn(5.0, 10.0, "peter"))


def transcript(text: str, late: float = 0.0, turns: tuple[Turn, ...] = TURNS) -> dict[str, Any]:
    words = tuple(
        Word(word, number + late, number + late + 0.5, 1.0)
        for number, word in enumerate(text.split())
    )
    lines = (
        Segment(0.0, 5.0, " ".join(text.split()[:5]), words[:5], speaker="A"),
        Segment(5.0, 10.0, " ".join(text.split()[5:]), words[5:], speaker="B"),
    )
    return transcript_to_json(Transcript("de", 10.0, lines, turns=turns))


def recording(*heard: dict[str, Any], **known: Any) -> dict[str, Any]:
    file = LabelledFile(Path("talk.wav"), SAID, **known)
    return {"reference": file.reference_json(), "language": "de", "heard": list(heard)}


def test_a_side_has_words_speakers_and_times_where_the_reference_has_them() -> None:
    words = tuple(Word(word, float(number), 0.0, 1.0) for number, word in enumerate(SAID.split()))
    texts = (("anna", "one two three four five"), ("peter", "six seven eight nine ten"))
    [[side]] = answer(
        [recording(transcript(SAID, late=0.1), turns=TURNS, texts=texts, words=words)]
    )["recordings"]
    assert side["words"] == {"words": 10, "errors": 0}
    assert side["speakers_words"] == {"words": 10, "errors": 0}
    assert side["speakers"]["confusion"] == 0.0 and side["speakers"]["scored"] > 9
    assert side["starts"] == pytest.approx([0.1] * 10)
    [[bare]] = answer([recording(transcript(SAID))])["recordings"]
    assert bare["speakers_words"] is None and bare["speakers"] is None and bare["starts"] == ()


def test_few_recordings_are_compared_by_stretches_and_many_by_themselves() -> None:
    right, wrong = transcript(SAID), transcript(SAID.replace("three", "free"))
    few = answer([recording(right, wrong)] * (ENOUGH_FILES - 1))
    many = answer([recording(right, wrong)] * ENOUGH_FILES)
    for found, of in ((few, "stretches of 20 words"), (many, "recordings")):
        [differences] = found["differences"]
        assert differences["wer"]["value"] == pytest.approx(0.1)
        assert differences["wer"]["sign"] == 1 and differences["wer"]["of"] == of
        assert "cpwer" not in differences and "der" not in differences


def test_speakers_are_compared_by_recordings() -> None:
    swapped = tuple(Turn(turn.start + 2.0, turn.end + 2.0, turn.speaker) for turn in TURNS)
    worse = transcript(SAID, turns=swapped)
    texts = (("anna", SAID),)
    found = answer([recording(transcript(SAID), worse, turns=TURNS, texts=texts)] * 6)
    [differences] = found["differences"]
    assert differences["der"]["sign"] == 1 and differences["der"]["units"] == 6
    assert differences["cpwer"]["sign"] == 0 and differences["wer"]["sign"] == 0

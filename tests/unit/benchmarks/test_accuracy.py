"""What `benchmarks.accuracy` counts, on cases counted by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.accuracy.ours import NAME
from benchmarks.accuracy.recordings import Recording, pyannote_sample
from benchmarks.accuracy.speakers import speakers_report
from benchmarks.accuracy.tables import report_tables
from benchmarks.accuracy.word_times import times_report
from benchmarks.accuracy.words import points_above_best, word_errors, words_report
from gpu_worker.transcript import Segment, Transcript, Turn, Word

pytestmark = pytest.mark.slow  # it imports transformers and pyannote

RECORDING = Recording("letter", Path("letter.wav"), "en", text="Mr. Smith was ill-disposed, too.")


def said(*words: tuple[str, float, float]) -> tuple[Word, ...]:
    return tuple(Word(text, start, end, 1.0) for text, start, end in words)


def test_ours_may_be_a_little_worse_than_the_best_peer_and_no_more() -> None:
    short = replace(RECORDING, name="short", text="a b c d", language="de")
    texts = {
        NAME: {"letter": RECORDING.text, "short": "a b c x"},
        "one": {"letter": "nothing", "short": "a b c d"},
        "other": {"letter": RECORDING.text, "short": "a b"},
    }
    rows = word_errors([RECORDING, short], texts)
    assert [row.recording for row in rows] == ["letter", "short", "all"]
    assert [points_above_best(row) for row in rows] == pytest.approx([0.0, 25.0, -10.0])
    report = words_report(rows)
    assert report["worst_recording"] == "short"
    assert not report["met"]
    assert words_report(word_errors([RECORDING], texts))["met"]


def test_word_times_are_judged_by_median_and_by_95_per_cent() -> None:
    true = said(("one", 0.0, 0.5), ("two", 0.5, 1.0))
    recording = replace(RECORDING, words=true)
    near = said(("one", 0.03, 0.53), ("two", 0.53, 1.03))
    far = said(("one", 0.03, 0.53), ("two", 0.53, 1.33))
    assert times_report([recording], {"letter": near})["met"]
    assert not times_report([recording], {"letter": far})["met"]


def test_the_packaged_conversation_has_words_and_speakers() -> None:
    sample = pyannote_sample()
    assert sample.path.is_file()
    assert {speaker for speaker, _ in sample.texts} == {"Diane", "Sheila"}
    assert len({turn.speaker for turn in sample.turns}) == 2
    assert sample.text.startswith("Hello? Hello? Oh, hello.")


def test_speakers_are_scored_by_time_and_by_words() -> None:
    turns = (Turn(0.0, 10.0, "anna"), Turn(10.0, 20.0, "peter"))
    recording = replace(RECORDING, turns=turns, texts=(("anna", "Yes, sir."), ("peter", "No.")))
    lines = (Segment(0.0, 9.0, "Yes sir", speaker="A"), Segment(11.0, 19.0, "Yes", speaker="B"))
    heard = Transcript("en", 20.0, lines, turns=turns)
    report = speakers_report([recording], {"letter": heard}, "a model")
    [row] = report["rows"]
    assert (row["der_percent"], row["speakers_found"]) == (0.0, 2)
    assert row["cpwer_percent"] == pytest.approx(33.3)


def test_a_report_of_some_parts_is_a_table_of_these() -> None:
    rows = word_errors([RECORDING], {NAME: {"letter": ""}, "peer": {"letter": RECORDING.text}})
    shown = report_tables({"models": {"base": {"words": words_report(rows)}}})
    assert "| letter | 6 | 100.0 | 0.0 | +100.0 |" in shown
    assert "NOT as wanted" in shown
    assert "Speakers" not in shown

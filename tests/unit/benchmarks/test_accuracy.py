"""What `benchmarks.accuracy` counts, on cases counted by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.accuracy.ours import NAME
from benchmarks.accuracy.recordings import Recording, pyannote_sample, read_hmm_words, read_rttm
from benchmarks.accuracy.speakers import speakers_report
from benchmarks.accuracy.tables import report_tables
from benchmarks.accuracy.word_times import spread, time_errors, times_report
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


def test_words_are_compared_by_the_times_that_both_sides_know() -> None:
    true = said(
        ("mister", 0.1, 0.4), ("smith", 0.4, 0.9), ("ill", 1.0, 1.2), ("disposed", 1.2, 2.0)
    )
    heard = said(("Mr.", 0.15, 0.4), ("Smith", 0.4, 0.8), ("ill-disposed,", 1.1, 2.05))
    found = time_errors(true, heard, "en")
    assert found.words == 4
    assert found.starts == pytest.approx((0.05, 0.0, 0.1))
    assert found.ends == pytest.approx((0.0, -0.1, 0.05))


def test_words_that_one_side_lacks_are_not_compared() -> None:
    true = said(("from", 0.0, 0.2), ("fairest", 0.2, 0.8), ("creatures", 0.8, 1.4))
    heard = said(("from", 0.0, 0.2), ("furious", 0.2, 0.8), ("creatures", 0.9, 1.4))
    found = time_errors(true, heard, "en")
    assert found.starts == pytest.approx((0.0, 0.1))


def test_a_spread_is_of_sizes_and_keeps_the_sign_apart() -> None:
    found = spread([-0.1, -0.1, -0.1, 0.3])
    assert (found.signed_median, found.median) == pytest.approx((-0.1, 0.1))
    assert found.p95 == pytest.approx(0.27)


def test_word_times_are_judged_by_median_and_by_95_per_cent() -> None:
    true = said(("one", 0.0, 0.5), ("two", 0.5, 1.0))
    recording = replace(RECORDING, words=true)
    near = said(("one", 0.03, 0.53), ("two", 0.53, 1.03))
    far = said(("one", 0.03, 0.53), ("two", 0.53, 1.33))
    assert times_report([recording], {"letter": near})["met"]
    assert not times_report([recording], {"letter": far})["met"]


def test_silences_and_pronunciations_are_no_part_of_the_reference(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(
        '{"w": [{"b": 0.0, "d": 0.2, "t": "<sil>"}, {"b": 0.2, "d": 0.1, "t": "to(3)"}]}',
        encoding="utf-8",
    )
    [word] = read_hmm_words(path)
    assert word.word == "to"
    assert (word.start, word.end) == pytest.approx((0.2, 0.3))


def test_turns_are_read_by_file(tmp_path: Path) -> None:
    path = tmp_path / "turns.rttm"
    path.write_text("SPEAKER a 1 1.5 2.0 <NA> <NA> anna <NA> <NA>\n", encoding="utf-8")
    assert read_rttm(path) == {"a": (Turn(1.5, 3.5, "anna"),)}


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

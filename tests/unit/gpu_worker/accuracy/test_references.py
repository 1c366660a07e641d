"""What is known of a recording is read from the usual files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpu_worker.accuracy.references import read_rttm, read_stm, read_word_times
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Turn, Word

WORDS = [{"word": "one", "start": 0.5, "end": 0.9}, {"word": "two", "start": 1, "end": 1.5}]


def test_silences_and_pronunciations_are_no_part_of_the_reference(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(
        '{"w": [{"b": 0.0, "d": 0.2, "t": "<sil>"}, {"b": 0.2, "d": 0.1, "t": "to(3)"}]}',
        encoding="utf-8",
    )
    [word] = read_word_times(path)
    assert word.word == "to"
    assert (word.start, word.end) == pytest.approx((0.2, 0.3))


def test_turns_are_read_by_file(tmp_path: Path) -> None:
    path = tmp_path / "turns.rttm"
    path.write_text("SPEAKER a 1 1.5 2.0 <NA> <NA> anna <NA> <NA>\n", encoding="utf-8")
    assert read_rttm(path) == {"a": (Turn(1.5, 3.5, "anna"),)}


@pytest.mark.parametrize("data", [WORDS, {"words": WORDS}, {"word_segments": WORDS, "text": ""}])
def test_words_are_read_from_a_list_and_from_a_transcript(tmp_path: Path, data: object) -> None:
    path = tmp_path / "words.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert read_word_times(path) == (Word("one", 0.5, 0.9, 1.0), Word("two", 1.0, 1.5, 1.0))


def test_a_turn_of_stm_has_its_speaker_and_its_words_and_comments_are_none(tmp_path: Path) -> None:
    path = tmp_path / "talk.stm"
    path.write_text(";; a comment\ntalk 1 anna 0.0 2.5 Yes, sir.\ntalk 1 peter 3 4\n")
    assert read_stm(path) == (("anna", "Yes, sir."),)


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '[{"word": "one"}]'])
def test_a_file_that_has_another_form_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "words.json"
    path.write_text(text)
    with pytest.raises(InvalidOption, match=r"words\.json"):
        read_word_times(path)

"""Which files of a directory are recordings with a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.accuracy.labelled import labelled_files, reference_texts
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Turn, Word


def test_a_recording_has_the_text_of_its_stem_and_what_was_written_beside_it_is_none(
    tmp_path: Path,
) -> None:
    for name in ("b.wav", "b.txt", "b.srt", "b.json", "a.ogg", "a.txt", "alone.wav", "lost.txt"):
        (tmp_path / name).write_text(name)
    found = labelled_files(tmp_path)
    assert [(file.path.name, file.text) for file in found] == [
        ("a.ogg", "a.txt"),
        ("b.wav", "b.txt"),
    ]
    assert reference_texts(tmp_path) == {"a": "a.txt", "b": "b.txt", "lost": "lost.txt"}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "no recording with a text"),
        ({"a.wav": "sound"}, "no recording with a text"),
        ({"a.txt": "words"}, "no recording with a text"),
        ({"a.txt": "words", "a.wav": "sound", "a.ogg": "sound"}, "several files"),
        ({"a.txt": " \n", "a.wav": "sound"}, "empty"),
    ],
)
def test_a_set_that_cannot_be_judged_is_refused(
    tmp_path: Path, files: dict[str, str], told: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InvalidOption, match=told):
        labelled_files(tmp_path)


def test_a_directory_or_a_text_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="No such file"):
        labelled_files(tmp_path / "absent")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidOption, match=r"a\.txt cannot be read: it is not UTF-8"):
        reference_texts(tmp_path)


def test_a_recording_may_have_turns_word_times_and_the_words_of_each_speaker(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.wav").write_text("sound")
    (tmp_path / "a.stm").write_text("a 1 anna 0 2 Yes, sir.\na 1 peter 2 3 No.\n")
    (tmp_path / "a.rttm").write_text("SPEAKER call 1 0.5 2.0 <NA> <NA> anna <NA> <NA>\n")
    (tmp_path / "a.words.json").write_text('[{"word": "Yes", "start": 0.5, "end": 1.0}]')
    [file] = labelled_files(tmp_path)
    assert file.text == "Yes, sir. No." and file.texts[1] == ("peter", "No.")
    assert file.turns == (Turn(0.5, 2.5, "anna"),) and file.words == (Word("Yes", 0.5, 1.0, 1.0),)
    (tmp_path / "a.txt").write_text("yes sir no")
    [file] = labelled_files(tmp_path)
    assert file.text == "yes sir no"
    assert file.reference_json()["turns"] == [[0.5, 2.5, "anna"]]
    bare = file.reference_json(with_speakers=False)
    assert bare["turns"] == bare["texts"] == [] and bare["words"] == [["Yes", 0.5, 1.0]]

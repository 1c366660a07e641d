"""Which files of a directory are recordings with a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.accuracy.labelled import labelled_files, reference_texts
from gpu_worker.errors import InvalidOption


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
    with pytest.raises(InvalidOption, match="UTF-8"):
        reference_texts(tmp_path)

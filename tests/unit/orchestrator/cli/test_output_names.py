"""What the transcripts of several files are called."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from gpu_worker.assembly.formats import FORMATS
from orchestrator.cli.output_names import distinct, output_stems


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def stems(*files: str, out: str = "out") -> list[str]:
    return list(output_stems([Path(file) for file in files], Path(out), tuple(FORMATS)).values())


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["talk.mp3", "in/other.wav"], ["talk", "other"]),
        (["mon/rec.ogg", "tue/rec.ogg"], ["mon/rec", "tue/rec"]),
        (["rec.ogg", "tue/rec.ogg"], ["rec", "tue/rec"]),
        (["a/rec.ogg", "a/rec.mp3"], ["rec.ogg", "rec.mp3"]),
        (["a/rec.ogg", "b/rec.mp3"], ["rec.ogg", "rec.mp3"]),
        (["a/rec.ogg", "b/rec.ogg", "b/rec.mp3"], ["a/rec.ogg", "b/rec.ogg", "b/rec.mp3"]),
        (["/data/24/mon/rec.ogg", "/data/24/tue/rec.ogg"], ["mon/rec", "tue/rec"]),
        (["../x/rec.ogg", "y/rec.ogg"], ["x/rec", "here/y/rec"]),
        (["../rec.ogg", "../../rec.ogg"], ["DIR/rec", "rec"]),
        (["mon/rec.ogg", "tue/REC.ogg"], ["mon/rec", "tue/REC"]),
        (["Mon/rec.ogg", "mon/rec.ogg"], ["Mon/rec", "mon/rec-2"]),
        (["Mon/rec.ogg", "x/rec.ogg", "mon/rec.ogg"], ["Mon/rec", "x/rec", "mon/rec-2"]),
        (["rec.ogg", "REC.OGG"], ["rec", "REC-2"]),
        (["caf\u00e9.ogg", "cafe\u0301.ogg"], ["caf\u00e9", "cafe\u0301-2"]),
        (["rec.ogg", "rec.mp3", "rec.ogg.wav"], ["rec", "rec-2", "rec.ogg"]),
        (["rec.ogg", "REC.ogg", "rec-2.wav"], ["rec", "REC-3", "rec-2"]),
        (["/dev/stdin", "talk.wav"], ["stdin", "talk"]),
        (["/dev/fd/63", "talk.wav", "/dev/fd/62"], ["pipe", "talk", "pipe-2"]),
    ],
)
def test_names_that_are_the_same_are_told_apart(
    files: list[str], names: list[str], tmp_path: Path
) -> None:
    assert stems(*files) == [name.replace("DIR", tmp_path.name) for name in names]


def test_names_do_not_depend_on_the_order_of_the_files() -> None:
    files = ("mon/rec.ogg", "tue/rec.ogg", "rec.ogg", "talk.mp3", "in/talk.wav")
    orders = [dict(zip(order, stems(*order), strict=True)) for order in permutations(files)]
    assert all(order == orders[0] for order in orders)


def test_names_that_are_cut_to_fit_are_told_apart_too() -> None:
    long = "x" * 240
    assert stems(f"{long}a.wav", f"{long}b.wav") == ["x" * 200, "x" * 200 + "-2"]
    (one, other) = stems(f"{'ä' * 120}/rec.ogg", "b/rec.ogg")
    assert (one, other) == ("ä" * 100 + "/rec", "b/rec")


def test_no_transcript_is_written_over_an_input() -> None:
    assert stems("talk.txt", out=".") == ["talk.txt"]
    assert stems("TALK.TXT", "talk.srt", out=".") == ["TALK.TXT", "talk.srt"]
    assert stems("talk.txt", out="out") == ["talk"]


def test_no_two_of_many_files_share_a_transcript() -> None:
    folders, rest = ("", "a/", "A/", "b/a/", "../"), ("rec", "REC", "rec.ogg", "rec-2")
    ends = (".ogg", ".mp3", "")
    names = sorted({f"{folder}{one}{end}" for folder in folders for one in rest for end in ends})
    found = stems(*names)
    assert len({stem.casefold() for stem in found}) == len(names)
    assert not any(part in ("..", "") for stem in found for part in stem.split("/"))


def test_a_file_that_is_written_in_several_ways_is_one_file(here: Path) -> None:
    (here / "link").symlink_to(here)
    files = ["talk.wav", "./talk.wav", str(here / "talk.wav"), "link/talk.wav", "../talk.wav"]
    assert distinct([Path(file) for file in files]) == [Path("talk.wav"), Path("../talk.wav")]

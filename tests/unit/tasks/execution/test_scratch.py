"""What a killed worker leaves in the scratch directory goes; what a living one uses stays."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tasks.execution import scratch
from tasks.execution.scratch import ABANDONED_SECONDS, scratch_directory, sweep

OWNER = """
import sys, time
from pathlib import Path
from tasks.execution.scratch import scratch_directory
with scratch_directory(Path(sys.argv[1])) as path:
    (path / "source").write_bytes(b"secret")
    (path / "folder").mkdir()
    (path / "folder" / "pcm").write_bytes(b"secret")
    print(path, flush=True)
    time.sleep(60)
"""


def test_the_directory_of_a_killed_process_is_swept_and_not_before(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        path = Path(owner.stdout.readline().strip())
        assert (sweep(tmp_path), path.exists()) == (0, True)
        owner.kill()
    assert (sweep(tmp_path), list(tmp_path.iterdir())) == (1, [])


def test_a_directory_in_use_is_not_swept_by_its_own_process(tmp_path: Path) -> None:
    with scratch_directory(tmp_path) as path:
        assert sweep(tmp_path) == 0
        assert path.exists()
    assert list(tmp_path.iterdir()) == []


def old(path: Path, seconds: float = ABANDONED_SECONDS + 60) -> Path:
    """Let the directory and all in it be of so long ago."""
    then = time.time() - seconds
    for each in (*path.iterdir(), path):
        os.utime(each, (then, then))
    return path


def test_directories_of_older_versions_go_when_no_unit_can_use_them(tmp_path: Path) -> None:
    for name in ("scriptorium-ab12_x9z", "scriptorium-new_one0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "source").write_bytes(b"x")
        (tmp_path / name / ("a" * 64)).write_bytes(b"x")
    old(tmp_path / "scriptorium-ab12_x9z")
    assert sweep(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["scriptorium-new_one0"]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "source").write_bytes(b"x")
    place = tmp_path / "place"
    place.mkdir()
    for name in ("scriptorium-metrics-ab12_x9z", "scriptorium-examples", "other"):
        (place / name).mkdir()
        (place / name / "thesis.txt").write_bytes(b"x")
        old(place / name)
    (place / "scriptorium-scratch-link").symlink_to(elsewhere)
    (place / "scriptorium-scratch-file").write_bytes(b"x")
    before = sorted(place.rglob("*"))
    assert sweep(place) == 0
    assert sorted(place.rglob("*")) == before and (elsewhere / "source").exists()


def test_a_place_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    assert sweep(tmp_path / "gone") == 0


def test_where_there_are_no_locks_the_age_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    path, lock = scratch._made(tmp_path)
    assert sweep(tmp_path) == 0
    old(path)
    assert (sweep(tmp_path), path.exists()) == (1, False)
    os.close(lock)


def test_a_directory_that_a_sweep_takes_while_it_is_made_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = tempfile.mkdtemp

    def swept_once(prefix: str, dir: Path) -> str:
        made.append(make(prefix=prefix, dir=dir))
        if len(made) == 1:
            assert sweep(tmp_path) == 1
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept_once)
    with scratch_directory(tmp_path) as path:
        assert [str(path)] == made[1:]

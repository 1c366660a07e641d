"""Directories and files that only their owner can open."""

from __future__ import annotations

from pathlib import Path

from orchestrator.local.directories import open_private, private_directory


def test_what_is_missing_is_made_closed_and_what_is_there_above_stays(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir(mode=0o755)
    above.chmod(0o755)
    made = private_directory(above / "home" / "logs")
    assert made.stat().st_mode & 0o777 == made.parent.stat().st_mode & 0o777 == 0o700
    assert above.stat().st_mode & 0o777 == 0o755


def test_an_open_directory_of_an_older_version_is_closed(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs").chmod(0o755)
    assert private_directory(tmp_path / "logs").stat().st_mode & 0o777 == 0o700


def test_a_new_file_is_its_owner_s(tmp_path: Path) -> None:
    with open(tmp_path / "log", "ab", opener=open_private) as file:
        file.write(b"x")
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600

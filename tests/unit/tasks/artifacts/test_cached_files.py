"""Copies on the disk: whole or not used, within their limit, and of this user alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tasks.artifacts import cached_files
from tasks.artifacts.cached_files import ABANDONED_SECONDS, PREFIX, CachedFiles

BLOCK = 4096
BODY = b"x" * 3000  # with its head it takes one block
DAY = 24 * 3600.0


class Clock:
    """The time of day, which tests move on."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        self.now += 0.001  # so that each use has its own time
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(base: Path, clock: Clock, blocks: int = 100) -> CachedFiles:
    return CachedFiles(base, "s3://bucket", blocks * BLOCK, DAY, clock)


def folder(base: Path) -> Path:
    (found,) = base.glob(f"{PREFIX}*")
    return found


def copies(base: Path) -> list[Path]:
    return sorted(folder(base).glob("*/*"))


def body(files: CachedFiles, group: str, name: str) -> bytes | None:
    found = files.read(group, name)
    return found.body if found else None


def kept(files: CachedFiles, names: list[str]) -> list[str]:
    """The names that have a copy; to look at one is not to use it."""
    return [name for name in names if files._place("audio", name).exists()]


@given(st.binary(max_size=200), st.text("ab\n0123", max_size=20))
def test_what_was_written_is_read_back_and_nothing_else(data: bytes, name: str) -> None:
    files = CachedFiles(Path(os.environ["TMPDIR"]), "s3://bucket", 1 << 20, DAY)
    files.write("audio", name + "1", data)
    assert body(files, "audio", name + "1") == data
    assert files.read("audio", name + "2") is None
    assert files.read("other", name + "1") is None


@pytest.fixture(autouse=True)
def own_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_the_least_recently_used_copy_goes_first(tmp_path: Path, clock: Clock) -> None:
    files, names = opened(tmp_path, clock, blocks=4), list("abcde")
    for name in names[:4]:
        files.write("audio", name, BODY)
    assert body(files, "audio", "a") == BODY
    files.write("audio", "e", BODY)
    assert kept(files, names) == ["a", "c", "d", "e"]
    files.write("audio", "f", BODY)
    assert kept(files, [*names, "f"]) == ["a", "d", "e", "f"]


@given(st.lists(st.integers(0, 6 * BLOCK), max_size=30))
def test_copies_of_any_sizes_stay_within_the_limit(sizes: list[int]) -> None:
    base, limit = Path(os.environ["TMPDIR"]), 5 * BLOCK
    files = CachedFiles(base, "s3://of-any-sizes", limit, DAY)
    for number, size in enumerate(sizes):
        files.write("audio", str(number), b"x" * size)
        found = [path.stat().st_size for path in files._root.glob("*/*")]
        assert sum(-(-size // BLOCK) * BLOCK for size in found) <= limit
    files.forget("audio")


def test_what_another_process_writes_counts_too(tmp_path: Path, clock: Clock) -> None:
    ours, theirs = opened(tmp_path, clock, blocks=32), opened(tmp_path, clock, blocks=32)
    for number in range(60):
        (ours if number % 2 else theirs).write("audio", str(number), BODY)
    assert len(copies(tmp_path)) <= 32 + 2 * 2  # each looks again after a sixteenth of the limit


def test_a_copy_that_one_process_wrote_is_read_by_another(tmp_path: Path, clock: Clock) -> None:
    opened(tmp_path, clock).write("audio", "a", BODY)
    assert body(opened(tmp_path, clock), "audio", "a") == BODY


def test_another_store_s_copies_are_not_read(tmp_path: Path, clock: Clock) -> None:
    opened(tmp_path, clock).write("audio", "a", BODY)
    other = CachedFiles(tmp_path, "http://elsewhere s3://bucket", 100 * BLOCK, DAY, clock)
    assert other.read("audio", "a") is None


def test_a_copy_grows_too_old_and_its_use_makes_it_no_younger(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    files.write("audio", "a", BODY)
    clock.now += DAY / 2
    found = files.read("audio", "a")
    assert found is not None and found.age == pytest.approx(DAY / 2, abs=1)
    clock.now += DAY / 2
    assert files.read("audio", "a") is None
    assert copies(tmp_path) == []


def test_old_copies_go_without_being_asked_for(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    files.drop_old()  # there is no directory yet
    files.write("audio", "a", BODY)
    unfinished = folder(tmp_path) / ".0123.part"
    unfinished.write_bytes(b"x")
    os.utime(unfinished, (clock.now, clock.now))
    files.drop_old()
    assert len(copies(tmp_path)) == 1 and unfinished.exists()
    clock.now += ABANDONED_SECONDS + 1
    files.drop_old()
    assert len(copies(tmp_path)) == 1 and not unfinished.exists()
    clock.now += DAY
    files.drop_old()
    assert [path.name for path in folder(tmp_path).iterdir()] == [cached_files.OWNER]


@pytest.mark.parametrize("at", [0, 33, 2000])
def test_a_damaged_copy_is_none_and_goes(tmp_path: Path, clock: Clock, at: int) -> None:
    files = opened(tmp_path, clock)
    files.write("audio", "a", BODY)
    (path,) = copies(tmp_path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    os.utime(path, (clock.now, clock.now))
    assert files.read("audio", "a") is None
    assert not path.exists()


@pytest.mark.parametrize("length", [0, 10, 40, 2999])
def test_a_copy_that_was_cut_off_is_none(tmp_path: Path, clock: Clock, length: int) -> None:
    files = opened(tmp_path, clock)
    files.write("audio", "a", BODY)
    os.truncate(copies(tmp_path)[0], length)
    assert files.read("audio", "a") is None


def test_a_copy_under_another_name_is_none(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    files.write("audio", "a", BODY)
    copies(tmp_path)[0].rename(files._place("audio", "b"))
    assert files.read("audio", "b") is None


def test_a_group_is_known_and_forgotten_as_a_whole(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    assert files.groups() == set()
    for group in ("audio", "tenants/é/pcm"):
        for name in "ab":
            files.write(group, name, BODY)
    assert files.groups() == {"audio", "tenants/é/pcm"}
    files.forget("audio")
    files.forget("never there")
    assert files.groups() == {"tenants/é/pcm"}
    assert files.read("audio", "a") is None


def test_directories_and_files_are_their_owner_s_alone(tmp_path: Path, clock: Clock) -> None:
    opened(tmp_path, clock).write("audio", "a", BODY)
    root = folder(tmp_path)
    for path in (root, *root.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file"])
def test_a_directory_that_others_may_have_made_is_not_used(
    tmp_path: Path, clock: Clock, kind: str
) -> None:
    files = opened(tmp_path, clock)
    if kind == "open to others":
        files._root.mkdir()
        files._root.chmod(0o755)
    elif kind == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        files._root.symlink_to(tmp_path / "elsewhere")
    else:
        files._root.write_bytes(b"")
    with capture_logs() as lines:
        files.write("audio", "a", BODY)
        files.write("audio", "a", BODY)
    assert [line["event"] for line in lines] == ["cache_unusable"]
    assert files.read("audio", "a") is None


def test_a_directory_that_was_deleted_is_made_again(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    files.write("audio", "a", BODY)
    folder(tmp_path).rename(tmp_path / "away")
    files.write("audio", "b", BODY)
    assert kept(files, ["a", "b"]) == ["b"]


def test_threads_write_and_read_at_once(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock, blocks=8)

    def use(number: int) -> bytes | None:
        name = str(number % 16)
        files.write("audio", name, name.encode() * 1000)
        return body(files, "audio", name)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(use, range(200)))
    assert all(data in (None, str(at % 16).encode() * 1000) for at, data in enumerate(found))
    assert any(found)


PROCESS = """
import sys, time
from pathlib import Path
from tasks.artifacts.cached_files import CachedFiles
CachedFiles(Path(sys.argv[1]), "s3://bucket", 1 << 20, 3600.0).write("audio", "a", b"secret")
print("written", flush=True)
time.sleep(60)
"""


def test_the_sweep_deletes_copies_when_the_last_process_has_ended(tmp_path: Path) -> None:
    from tasks.execution.scratch import sweep

    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as first,
        subprocess.Popen(command, stdout=subprocess.PIPE) as second,
    ):
        for process in (first, second):
            assert process.stdout and process.stdout.readline()
        first.kill()
        first.wait()
        assert (sweep(tmp_path), len(copies(tmp_path))) == (0, 1)
        second.kill()
    assert (sweep(tmp_path), list(tmp_path.iterdir())) == (1, [])

"""What a directory store promises beyond the others: processes, links and full disks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_worker.errors import ScratchUnusable, StoreRefused
from tasks.artifacts.local import STALE_SECONDS, LocalStore

RACER = """
import sys
from pathlib import Path
from tasks.artifacts.local import LocalStore
store, name = LocalStore(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
print(sum(store.put(f"raced/{n}", name.encode() * 1000) for n in range(200)))
"""
FILLER = """
import resource, sys
from pathlib import Path
from gpu_worker.errors import DiskFull
from tasks.artifacts.local import LocalStore
root, work = Path(sys.argv[1]), Path(sys.argv[2])
store = LocalStore(root)
store.put("small", b"fits")
if sys.argv[3] == "limited":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
large = Path(sys.argv[4])
for write in (
    lambda: store.put("large", bytes(1_000_000)),
    lambda: store.put_file("large", large),
    lambda: LocalStore(large.parent).fetch(large.name, work / "copy"),
):
    try:
        write()
    except DiskFull as error:
        print(error.code)
print([p.name for p in root.rglob("*") if p.is_file()], list(work.iterdir()), store.get("small"))
"""
FILLED = ["disk_full"] * 3 + ["['small'] [] b'fits'"]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "sources" / "large"
    path.parent.mkdir()
    path.write_bytes(bytes(1_000_000))
    return path


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.slow
def test_of_two_processes_one_wins_each_key(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "AB"
    ]
    for racer in racers:
        assert racer.stdout and racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [int(racer.communicate()[0]) for racer in racers]
    assert sum(won) == 200
    store = LocalStore(tmp_path)
    held = [store.get(key) for key in store.list("raced/")]
    assert [held.count(name * 1000) for name in (b"A", b"B")] == won


def test_a_writer_that_is_killed_leaves_no_artifact(tmp_path: Path, store: LocalStore) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = (
        "import sys; from pathlib import Path; from tasks.artifacts.local import LocalStore;"
        "LocalStore(Path(sys.argv[1])).put_file('half', Path(sys.argv[2]))"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "store"), str(pipe)])
    with pipe.open("wb", buffering=0) as source:
        source.write(bytes(3_000_000))  # more than the pipe holds: some of it is written by now
        writer.kill()
        writer.wait()
    assert len(files(tmp_path / "store")) == 1
    assert list(store.list("")) == []
    assert store.size("half") is None
    assert store.put("half", b"whole") is True


def test_what_a_killed_writer_left_is_removed_after_a_day(tmp_path: Path) -> None:
    incoming = tmp_path / ".incoming"
    incoming.mkdir()
    for name, age in (("old", STALE_SECONDS + 60), ("young", 60)):
        (incoming / name).write_bytes(b"half")
        then = (incoming / name).stat().st_mtime - age
        os.utime(incoming / name, (then, then))
    LocalStore(tmp_path)
    assert files(tmp_path) == [".incoming/young"]


def test_a_process_at_its_file_size_limit_gets_disk_full_and_leaves_nothing(
    tmp_path: Path, large: Path
) -> None:
    (tmp_path / "work").mkdir()
    arguments = [str(tmp_path / "store"), str(tmp_path / "work"), "limited", str(large)]
    done = subprocess.run(
        [sys.executable, "-c", FILLER, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == FILLED


def test_a_full_file_system_is_disk_full_and_leaves_nothing(tmp_path: Path, large: Path) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    isolated = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    mount = 'mount -t tmpfs -o size=256k scriptorium "$0"; mkdir "$0/store" "$0/work"; exec "$@"'
    if (
        not shutil.which("unshare")
        or subprocess.run([*isolated, mount, str(mounted), "true"], capture_output=True).returncode
    ):
        pytest.skip("this machine does not let a user mount a small file system")
    arguments = [str(mounted / "store"), str(mounted / "work"), "mounted", str(large)]
    done = subprocess.run(
        [*isolated, mount, str(mounted), sys.executable, "-c", FILLER, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == FILLED


def test_no_link_leads_out_of_the_store(tmp_path: Path, store: LocalStore) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store.put("inside", b"")
    (tmp_path / "store" / "folder").symlink_to(outside)
    (tmp_path / "store" / "file").symlink_to(outside / "secret")
    (tmp_path / "store" / "loop").symlink_to("loop")
    for use in (
        lambda: store.get("folder/secret"),
        lambda: store.get("file"),
        lambda: store.fetch("file", tmp_path / "copy"),
        lambda: store.size("folder/secret"),
        lambda: store.size("file"),
        lambda: store.get("loop"),
        lambda: store.put("folder/new", b""),
        lambda: store.put("file", b""),
        lambda: store.delete("folder/secret"),
        lambda: list(store.list("folder/")),
    ):
        with pytest.raises(StoreRefused, match="link"):
            use()
    assert list(store.list("")) == ["inside"]
    assert files(outside) == ["secret"]
    assert not (tmp_path / "copy").exists()


def test_a_key_below_another_artifact_is_a_mistake(store: LocalStore) -> None:
    store.put("a", b"")
    store.put("b/c", b"")
    for key in ("a/b", "a/b/c", "b"):
        with pytest.raises(ValueError, match="both an artifact and a folder"):
            store.put(key, b"")
    assert list(store.list("")) == ["a", "b/c"]


def test_deleting_the_last_artifact_of_a_folder_removes_the_folder(
    tmp_path: Path, store: LocalStore
) -> None:
    store.put("jobs/1/chunks/0.json", b"")
    store.delete("jobs/1/chunks/0.json")
    assert not (tmp_path / "store" / "jobs").exists()


@pytest.mark.slow
def test_writers_survive_their_folder_being_deleted_under_them(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tasks.artifacts.local import LocalStore;"
        "store = LocalStore(Path(sys.argv[1]));"
        "[(store.put(f'f/{sys.argv[2]}', b''), store.delete(f'f/{sys.argv[2]}'))"
        " for _ in range(300)]"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in "AB"
    ]
    assert [worker.wait() for worker in workers] == [0, 0]


@pytest.mark.parametrize("call", ["mkdir", "hardlink_to"])
def test_a_writer_goes_on_where_what_stood_in_its_way_is_deleted_meanwhile(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, original, stood = LocalStore(tmp_path), getattr(Path, call), [True]

    def in_the_way_once(path: Path, *args: object, **kwargs: object) -> None:
        if path.is_relative_to(tmp_path / "f") and stood:
            stood.clear()
            raise FileExistsError(str(path))
        original(path, *args, **kwargs)

    monkeypatch.setattr(Path, call, in_the_way_once)
    assert store.put("f/A", b"whole")
    assert not stood
    assert store.get("f/A") == b"whole"


def test_a_store_whose_directory_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreRefused, match="file"):
        LocalStore(tmp_path / "file").put("key", b"")


def test_opening_a_store_makes_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "new")
    assert store.size("key") is None
    assert not (tmp_path / "new").exists()


def test_a_worker_s_scratch_that_cannot_be_written_is_not_the_store_s_fault(
    store: LocalStore, tmp_path: Path
) -> None:
    store.put("key", b"data")
    (tmp_path / "file").write_bytes(b"")
    for scratch in (tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(ScratchUnusable):
            store.fetch("key", scratch / "copy")
    (tmp_path / "copy").mkdir()
    with pytest.raises(ScratchUnusable):
        store.fetch("key", tmp_path / "copy")
    assert files(tmp_path / "copy") == []

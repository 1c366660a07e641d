"""Files, pipes and standard input, as a command line names them."""

from __future__ import annotations

import os
import pty
import socket
import threading
from pathlib import Path

import pytest

from gpu_worker.errors import AudioOutOfBounds, DiskFull, SourceMissing, UnreadableAudio
from orchestrator.jobs.local_files import STDIN, local_path, opened, source_name
from tests.inputs.pipes import piped, standard_input

LARGEST = 1 << 22


def read(path: Path, largest: int = LARGEST, directory: Path | None = None) -> bytes:
    with opened(path, largest, directory) as file:
        file.seek(0, os.SEEK_END)
        file.seek(0)
        return file.read()


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("-", STDIN, "stdin"),
        ("/dev/stdin", STDIN, "stdin"),
        ("/dev/fd/0", Path("/dev/fd/0"), "stdin"),
        ("/dev/fd/63", Path("/dev/fd/63"), "pipe"),
        ("/proc/self/fd/12", Path("/proc/self/fd/12"), "pipe"),
        ("./-", Path("-"), "-"),
        ("talk.mp3", Path("talk.mp3"), "talk.mp3"),
    ],
)
def test_what_has_no_name_gets_one(text: str, path: Path, name: str) -> None:
    assert local_path(text) == path
    assert source_name(path) == name


def test_a_pipe_is_read_whole_and_can_then_be_read_again(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)  # more than a pipe holds at once
    with piped(data) as descriptor:
        assert read(Path(f"/dev/fd/{descriptor}"), directory=tmp_path / "made") == data
    assert list((tmp_path / "made").iterdir()) == []


def test_a_pipe_that_has_a_name_keeps_it_and_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "talk.fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"sound" * 100_000,))
    writer.start()
    assert read(path) == b"sound" * 100_000
    writer.join()
    assert source_name(path) == "talk.fifo"


def test_standard_input_is_read_from_a_pipe_a_file_and_a_socket(tmp_path: Path) -> None:
    with piped(b"sound") as descriptor, standard_input(descriptor):
        assert read(STDIN) == b"sound"
    path = tmp_path / "talk.wav"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file, standard_input(file.fileno()):
        assert read(STDIN) == b"0123456789"
        os.lseek(0, 4, os.SEEK_SET)  # another program has read the beginning
        assert read(STDIN) == b"456789"
    ours, theirs = socket.socketpair()
    with ours, standard_input(ours.fileno()):
        theirs.sendall(b"sound")
        theirs.close()
        assert read(STDIN) == b"sound"


def test_an_empty_pipe_is_refused_in_a_sentence() -> None:
    with piped(b"") as descriptor, pytest.raises(UnreadableAudio, match="'pipe' is empty"):
        read(Path(f"/dev/fd/{descriptor}"))


def test_a_pipe_that_never_ends_fills_no_disk() -> None:
    with piped(b"x" * 2_000_000) as descriptor, pytest.raises(AudioOutOfBounds, match="1000000"):
        read(Path(f"/dev/fd/{descriptor}"), largest=1_000_000)
    with piped(b"x" * 1000) as descriptor:
        assert len(read(Path(f"/dev/fd/{descriptor}"), largest=1000)) == 1000


def test_a_disk_without_room_for_a_pipe_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with piped(b"sound") as descriptor, pytest.raises(DiskFull) as refused:
        read(Path(f"/dev/fd/{descriptor}"), directory=tmp_path / "file" / "below")
    assert "SCRIPTORIUM_WORK_DIR" in refused.value.advice


def test_what_is_no_file_is_refused_by_its_kind(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(SourceMissing, match="'socket' is a socket, not a file"):
            read(tmp_path / "socket")
    with pytest.raises(SourceMissing, match="is a directory, not a file"):
        read(tmp_path)
    with pytest.raises(SourceMissing, match="'null' is a device, not a file"):
        read(Path("/dev/null"))
    with pytest.raises(SourceMissing, match=r"'gone\.wav' cannot be read: No such file"):
        read(tmp_path / "gone.wav")


def test_a_terminal_and_a_closed_descriptor_are_refused() -> None:
    main, terminal = pty.openpty()
    with standard_input(terminal), pytest.raises(SourceMissing, match="'stdin' is a terminal"):
        read(STDIN)
    os.close(main)
    os.close(terminal)
    with pytest.raises(SourceMissing, match="'pipe' is closed"):
        read(Path("/dev/fd/987"))

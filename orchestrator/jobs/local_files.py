"""Open the files that a command line names: plain files, pipes and standard input.

`-` is standard input; `<(command)` of a shell is a pipe such as `/dev/fd/63`. A pipe cannot be
read twice, so it is first copied to a temporary file, up to the largest size of a source.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from gpu_worker.errors import AudioOutOfBounds, DiskFull, SourceMissing, UnreadableAudio

STDIN = Path("/dev/stdin")
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})")
_BLOCK_BYTES = 1 << 20
_KINDS = {
    stat.S_IFDIR: ("a directory", "Name the files in it, for example recordings/*.mp3."),
    stat.S_IFSOCK: ("a socket", "Connect its output to standard input, and name it `-`."),
    stat.S_IFCHR: ("a device", "Name a file, or `-` for standard input."),
    stat.S_IFBLK: ("a device", "Name a file, or `-` for standard input."),
}


def local_path(text: str) -> Path:
    """Return the path that an argument means: `-` is standard input, `./-` a file of that name."""
    return STDIN if text == "-" else Path(text)


def source_name(path: Path) -> str:
    """Return the name to show: the file's name, `stdin`, or `pipe` for a pipe without a name."""
    descriptor = _descriptor(path)
    if descriptor is None:
        return path.name
    return "stdin" if descriptor == 0 else "pipe"


@contextmanager
def opened(path: Path, largest_bytes: int, directory: Path | None) -> Iterator[BinaryIO]:
    """Open a file at its beginning, able to seek, for the time of the block.

    A pipe is read to its end into a file without a name in `directory` (None: the system's
    directory for temporary files). Raises SourceMissing, UnreadableAudio for an empty pipe,
    AudioOutOfBounds for a pipe with more bytes than `largest_bytes`, or DiskFull.
    """
    name = source_name(path)
    try:
        file = _open(path, name)
    except OSError as error:
        raise SourceMissing(
            f"{name!r} cannot be read: {error.strerror}.",
            hint="Check its path and who may read it.",
        ) from error
    with file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(mode) and file.tell() == 0:
            yield file
            return
        with _copied(file, name, largest_bytes, directory) as copy:
            yield copy


def _open(path: Path, name: str) -> BinaryIO:
    descriptor = _descriptor(path)
    if descriptor is None:
        _check_kind(path.stat().st_mode, name)
        return path.open("rb")
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError as error:
        raise SourceMissing(
            f"{name!r} is closed.", hint="Connect something to it, or name a file."
        ) from error
    if os.isatty(descriptor):
        raise SourceMissing(
            f"{name!r} is a terminal, and no audio can be typed.",
            hint="Connect a program or a file to it: `scriptorium transcribe - < talk.mp3`.",
        )
    if not stat.S_ISSOCK(mode):  # a parent process other than a shell may connect a socket
        _check_kind(mode, name)
    # Not by its path: a socket cannot be opened again, and a file would start at its beginning.
    return os.fdopen(os.dup(descriptor), "rb")


def _check_kind(mode: int, name: str) -> None:
    kind, hint = _KINDS.get(stat.S_IFMT(mode), ("", ""))
    if kind:
        raise SourceMissing(f"{name!r} is {kind}, not a file.", hint=hint)


@contextmanager
def _copied(
    file: BinaryIO, name: str, largest_bytes: int, directory: Path | None
) -> Iterator[BinaryIO]:
    with _temporary(name, directory) as copy:
        size = 0
        while block := file.read(_BLOCK_BYTES):
            size += len(block)
            if size > largest_bytes:
                raise AudioOutOfBounds(f"{name!r} has more than the {largest_bytes} bytes allowed.")
            with _disk_faults(name):
                copy.write(block)
        if size == 0:
            raise UnreadableAudio(
                f"{name!r} is empty: the program that writes to it has written nothing.",
                hint="Read the messages of that program.",
            )
        with _disk_faults(name):
            copy.flush()
        yield copy


def _temporary(name: str, directory: Path | None) -> BinaryIO:
    with _disk_faults(name):
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        file: Any = TemporaryFile(dir=directory)  # noqa: SIM115 - for the caller
    return cast("BinaryIO", file)


@contextmanager
def _disk_faults(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskFull(
            f"{name!r} cannot be kept in a temporary file: {error.strerror}.",
            hint="Free some space, or set SCRIPTORIUM_WORK_DIR to a directory that has it.",
        ) from error


def _descriptor(path: Path) -> int | None:
    """Return the number of the open file that a path names; None for a plain path."""
    if path == STDIN:
        return 0
    found = _DESCRIPTOR.fullmatch(str(path))
    return int(found[1]) if found else None

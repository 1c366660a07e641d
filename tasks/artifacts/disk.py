"""Write files that are complete or absent, and translate the disk's errors.

This module knows files, not artifacts.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from gpu_worker.errors import DiskFull, ScratchUnusable, StoreRefused, StoreUnavailable

COPY_BYTES = 1 << 20  # the part of a streamed file that is in memory
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST),
    *(errno.ELOOP, errno.ENOTSUP, errno.EXDEV, errno.ENAMETOOLONG),
}


@contextmanager
def disk_faults(place: str) -> Iterator[None]:
    """Turn an OSError into `DiskFull`, `StoreRefused` or `StoreUnavailable`, naming the place."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise DiskFull(f"There is no space left for {place}: {reason}.") from error
        if error.errno in _REFUSED:
            raise StoreRefused(
                f"{place} may not be used: {reason}.",
                hint="Check that it is a directory, writable, without symbolic links in it, "
                "on a file system with hard links.",
            ) from error
        raise StoreUnavailable(f"{place} cannot be used now: {reason}.") from error


@contextmanager
def arriving(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write, and rename it to `path` after the block; replace an existing file.

    Leaves nothing behind if the block raises. The file is this machine's, not the store's: raises
    DiskFull, ScratchUnusable or StoreUnavailable.
    """
    unfinished = path.with_name(f".{uuid4().hex}.part")
    with _scratch_faults(path):
        file = unfinished.open("xb")
    with removed_at_the_end(unfinished):
        with disk_faults(str(path)), file:
            yield file
        with _scratch_faults(path):
            unfinished.replace(path)


@contextmanager
def _scratch_faults(path: Path) -> Iterator[None]:
    try:
        with disk_faults(str(path.parent)):
            yield
    except (StoreRefused, StoreUnavailable) as error:
        raise ScratchUnusable(error.message) from error


@contextmanager
def removed_at_the_end(path: Path) -> Iterator[None]:
    """Delete the file after the block, also if it raises."""
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def make_directory(path: Path) -> None:
    """Make the directory and its parents, and sync them, so that they survive a power cut."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Wait until the names in the directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

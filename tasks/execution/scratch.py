"""Private directories for the files of one unit, and the sweep of those that a killed worker left.

The sweep also deletes the directories of copies (`tasks/artifacts/cached_files.py`) that no process
uses any more.

A directory's owner holds a lock on a file in it, which the kernel releases when the owner ends,
however it ends. So the lock tells whether the owner lives: also from another container or machine
that shares the file system, and where process ids come again.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from gpu_worker.errors import ScratchUnusable
from tasks.artifacts.cached_files import OWNER, PREFIX

SWEEP_SECONDS = 3600.0  # between two sweeps
# Longer than any unit may take. So old is also what has no lock: directories of workers of an
# older version, and of a file system without locks.
ABANDONED_SECONDS = 6 * 3600.0
_PREFIX = "scriptorium-scratch-"
_OLD_NAME = re.compile(r"scriptorium-[a-z0-9_]{8}")  # of versions without locks
_OLD_FILES = re.compile(r"source|pcm|clip|[0-9a-f]{64}|\.pcm.*")
log = structlog.get_logger(__name__)


@contextmanager
def scratch_directory(base: Path | None) -> Iterator[Path]:
    """Make a private directory in `base`, or in the system's; delete it after the block.

    Raises ScratchUnusable.
    """
    try:
        if base is not None:
            base.mkdir(parents=True, exist_ok=True)
        path, lock = _made(base)
    except OSError as error:
        raise ScratchUnusable(f"No scratch directory can be made: {error}.") from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def sweep(base: Path | None) -> int:
    """Delete the directories of owners that no longer live; return how many. Raises nothing."""
    count = 0
    place = base or Path(tempfile.gettempdir())
    with suppress(OSError):  # it is not there yet, or cannot be listed
        for path in place.iterdir():
            with suppress(OSError):  # another sweep was faster
                count += _swept(path)
    if count:
        log.info("scratch_swept", directories=count, place=str(place))
    return count


def _made(base: Path | None) -> tuple[Path, int]:
    """Make a directory and lock it; return both."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        try:
            lock = os.open(path / OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # a sweep took it for abandoned
            continue
        except OSError:
            shutil.rmtree(path, ignore_errors=True)
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # a sweep came between the two calls, and deletes it
            os.close(lock)
            continue
        except OSError:  # no locks in this file system: its age must do
            pass
        return path, lock


def _swept(path: Path) -> bool:
    """Delete the directory if it is one of ours and its owner has ended; return whether it was."""
    status = path.lstat()
    if not path.is_dir() or path.is_symlink() or status.st_uid != os.geteuid():
        return False
    if path.name.startswith((_PREFIX, PREFIX)):
        lock = _taken(path)
        if lock is None:
            return False
        try:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
        return True
    if _OLD_NAME.fullmatch(path.name) and _is_old(path) and _has_old_files(path):
        shutil.rmtree(path, ignore_errors=True)
        return True
    return False


def _taken(path: Path) -> int | None:
    """Return the lock of a directory whose owner has ended; None if the owner lives."""
    lock = os.open(path / OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError) or not _is_old(path):
            os.close(lock)
            return None
    return lock


def _is_old(path: Path) -> bool:
    """Return whether nothing was made or written in the directory for ABANDONED_SECONDS."""
    newest = max(each.lstat().st_mtime for each in (path, *path.iterdir()))
    return time.time() - newest > ABANDONED_SECONDS


def _has_old_files(path: Path) -> bool:
    return all(_OLD_FILES.fullmatch(each.name) for each in path.iterdir())

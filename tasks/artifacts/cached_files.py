"""Copies of artifacts in a directory of this machine, which several processes may share.

Each process holds a shared lock on a file in the directory, so that the sweep of
`tasks/execution/scratch.py` can tell when the last one has ended. A copy begins with a digest of
the rest: one that is damaged or cut off is not used. Nothing here raises for a fault of the disk,
since a copy is never needed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import structlog

PREFIX = "scriptorium-cache-"
OWNER = ".owner"  # in the directory; living processes hold a shared lock on it
ABANDONED_SECONDS = 3600.0  # an unfinished copy this old belongs to a process that died
CLOCK_SECONDS = 60.0  # by which the clocks of machines that share a directory may differ
_UNFINISHED = ".part"
_DIGEST_BYTES = 32
_BLOCK_BYTES = 4096  # what the smallest file takes
_TRIES = 10  # to open the directory while a sweep deletes it
log = structlog.get_logger(__name__)


class Found(NamedTuple):
    """A copy on the disk, and the seconds since it was written."""

    body: bytes
    age: float


class CachedFiles:
    """Files of at most about `limit` bytes; the least recently used goes first.

    A copy is named by its group and its own name. Its time of modification is when it was written,
    its time of access when it was used.
    """

    def __init__(
        self,
        base: Path | None,
        identity: str,
        limit: int,
        seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Use a directory in `base`, or in the system's, that only stores of `identity` share.

        A copy older than `seconds` is not used. Nothing is read or written yet.
        """
        name = f"{PREFIX}{os.geteuid()}-{_hex(identity)[:16]}"
        self._root = (base or Path(tempfile.gettempdir())) / name
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._owner: int | None = None  # the descriptor that holds the lock
        self._used: int | None = None  # bytes, as far as this process knows
        self._unseen = 0  # bytes written since it looked what others have written
        self._has_warned = False

    def read(self, group: str, name: str) -> Found | None:
        """Return the copy; None if there is none, or a damaged or old one, which is deleted."""
        path = self._place(group, name)
        try:
            with path.open("rb") as file:
                written_at = os.fstat(file.fileno()).st_mtime
                content = file.read()
        except OSError:
            return None
        head = _head(group)
        start = _DIGEST_BYTES + len(head)
        body = content[start:]
        is_whole = content[:start] == _digest(name, group, body) + head
        now = self._clock()
        is_good = is_whole and self._is_young(written_at, now)
        with suppress(OSError):
            if is_good:
                os.utime(path, (now, written_at))
            else:
                path.unlink()
        return Found(body, now - written_at) if is_good else None

    def write(self, group: str, name: str, body: bytes) -> None:
        """Write a copy if there is room or can be made."""
        content = (_digest(name, group, body) + _head(group), body)
        size = _on_disk(sum(map(len, content)))
        if size > self._limit:
            return
        path, unfinished = self._place(group, name), self._root / f".{uuid4().hex}{_UNFINISHED}"
        try:
            self._open()
            self._make_room(size)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for part in content:
                    file.write(part)
            now = self._clock()
            os.utime(unfinished, (now, now))
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            if not self._has_warned:
                self._has_warned = True
                log.warning("cache_unusable", place=str(self._root), error=str(error))

    def forget(self, group: str) -> None:
        """Delete all copies of a group."""
        shutil.rmtree(self._place(group, "").parent, ignore_errors=True)
        with self._lock:
            self._used = None

    def groups(self) -> set[str]:
        """Return the groups of which there are copies."""
        found = set()
        for folder in self._root.glob("*/"):
            with suppress(OSError, StopIteration, UnicodeDecodeError):
                with_head = next(folder.iterdir())
                with with_head.open("rb") as file:
                    file.seek(_DIGEST_BYTES)
                    found.add(file.readline().decode().removesuffix("\n"))
        return {group for group in found if self._place(group, "").parent.is_dir()}

    def drop_old(self) -> None:
        """Delete the copies that are too old, and what dead processes left unfinished."""
        with self._lock:
            self._used = sum(size for _, size, _ in self._files())

    def _place(self, group: str, name: str) -> Path:
        return self._root / _hex(group)[:32] / (_hex(name) if name else "x")

    def _is_young(self, written_at: float, now: float) -> bool:
        return -CLOCK_SECONDS < now - written_at < self._seconds

    def _open(self) -> None:
        """Make the directory and lock it, unless this process has it. Raises OSError."""
        with self._lock:
            if self._owner is not None and _is_at(self._owner, self._root / OWNER):
                return
            if self._owner is not None:  # the directory was deleted
                os.close(self._owner)
                self._owner = None
            self._owner = _locked(self._root)
            self._used = None

    def _make_room(self, size: int) -> None:
        """Delete the least recently used copies until `size` bytes more are within the limit.

        A sixteenth more is deleted, so that not each write has to look at all files.
        """
        slack = self._limit // 16 // _BLOCK_BYTES * _BLOCK_BYTES
        with self._lock:
            self._unseen += size
            if (
                self._used is None
                or self._used + size > self._limit
                or self._unseen > slack  # other processes write too
            ):
                files = sorted(self._files())
                self._used, self._unseen = sum(size for _, size, _ in files), 0
                is_full = self._used + size > self._limit
                for _, freed, path in files if is_full else ():
                    if self._used + size <= self._limit - slack:
                        break
                    with suppress(OSError):
                        path.unlink()
                    with suppress(OSError):  # it is not empty
                        path.parent.rmdir()
                    self._used -= freed
            self._used += size

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield each copy's last use, size and place; delete the old ones."""
        now = self._clock()
        for path in list(self._root.glob("*/*")):
            with suppress(OSError):
                status = path.lstat()
                if self._is_young(status.st_mtime, now):
                    yield status.st_atime, _on_disk(status.st_size), path
                else:
                    path.unlink()
                    path.parent.rmdir()
        for path in list(self._root.glob(f".*{_UNFINISHED}")):
            with suppress(OSError):
                if now - path.lstat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()


def _locked(root: Path) -> int:
    """Make the directory and take a shared lock on the file in it. Raises OSError."""
    root.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        with suppress(FileExistsError):
            root.mkdir(mode=0o700)
        with suppress(FileNotFoundError):  # a sweep deleted it meanwhile
            status = root.lstat()
            is_private = status.st_uid == os.geteuid() and not status.st_mode & 0o077
            if not stat.S_ISDIR(status.st_mode) or not is_private:
                raise PermissionError(f"{root} is not a directory of this user alone")
            lock = os.open(root / OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(OSError):  # there are file systems without locks: their age must do
                fcntl.flock(lock, fcntl.LOCK_SH)
            if _is_at(lock, root / OWNER):
                return lock
            os.close(lock)
    raise OSError(f"{root} was deleted again and again")


def _is_at(descriptor: int, path: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _digest(name: str, group: str, body: bytes) -> bytes:
    digest = sha256(f"{name}\n".encode() + _head(group))
    digest.update(body)
    return digest.digest()


def _head(group: str) -> bytes:
    return f"{group}\n".encode()


def _hex(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK_BYTES) * _BLOCK_BYTES

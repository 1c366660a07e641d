"""Artifacts as files under a directory, which several processes may share.

An artifact is written under a temporary name, synced to the disk and then hard-linked to its own
name: a link never replaces a file, so the first writer wins and no reader sees half an artifact.
The directory must be one file system with hard links (NFS has them). Symbolic links inside it
are never followed.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from gpu_worker.errors import StoreRefused, StoreUnavailable
from tasks.artifacts import ArtifactMissing
from tasks.artifacts.disk import (
    COPY_BYTES,
    arriving,
    disk_faults,
    make_directory,
    removed_at_the_end,
    sync_directory,
)
from tasks.artifacts.names import RESERVED, checked_key, checked_prefix, checked_range

LINK_ATTEMPTS = 20  # deleting a folder's last artifact deletes the folder, also before a link
STALE_SECONDS = 24 * 3600.0  # an unfinished file this old belongs to a writer that died


class LocalStore:
    """An `ArtifactStore` in a directory, which is made by the first write.

    Raises `StoreRefused` if the directory may not be used as it is, and `ValueError` for a
    key that lies under another artifact's key, since a file is no directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))
        self._incoming = self._root / RESERVED
        self.url = self._root.as_uri()
        self._sweep()

    def put(self, key: str, data: bytes) -> bool:
        return self._write_once(key, lambda file: file.write(data))

    def put_file(self, key: str, path: Path) -> bool:
        with path.open("rb") as source:
            return self._write_once(key, lambda file: shutil.copyfileobj(source, file, COPY_BYTES))

    def put_stream(self, key: str, file: BinaryIO) -> bool:
        file.seek(0)
        return self._write_once(key, lambda own: shutil.copyfileobj(file, own, COPY_BYTES))

    def presigned_put(self, key: str, size: int, seconds: int) -> str | None:
        return None

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        checked_range(start, length)
        with self._opened(key) as file, disk_faults(self.url):
            left = max(os.fstat(file.fileno()).st_size - start, 0)
            file.seek(start)
            return file.read(left if length is None else min(length, left))

    def fetch(self, key: str, path: Path) -> None:
        with self._opened(key) as source, arriving(path) as file:
            shutil.copyfileobj(source, file, COPY_BYTES)

    def size(self, key: str) -> int | None:
        with disk_faults(self.url):
            try:
                status = self._place(key).lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        folder, slash, beginning = checked_prefix(prefix).rpartition("/")
        with disk_faults(self.url):
            root = self._safe(self._root / folder)
            yield from self._walk(root, folder + slash, beginning, after)

    def first(self, prefix: str, limit: int, after: str = "") -> Sequence[str]:
        return list(islice(self.list(prefix, after), limit))

    def delete(self, key: str) -> None:
        path = self._place(key)
        with disk_faults(self.url):
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                path.unlink()
            with suppress(OSError):  # stops at the first folder that is not empty
                for folder in path.parents:
                    if folder == self._root:
                        break
                    folder.rmdir()

    def _write_once(self, key: str, write: Callable[[BinaryIO], object]) -> bool:
        path = self._place(key)
        if path.is_file():
            return False
        unfinished = self._incoming / uuid4().hex
        with disk_faults(self.url), removed_at_the_end(unfinished):
            make_directory(self._incoming)
            with unfinished.open("xb") as file:
                write(file)
                file.flush()
                if file.tell():  # an empty file is only a name, which `_link` syncs
                    os.fsync(file.fileno())
            return self._link(unfinished, path)

    def _link(self, unfinished: Path, path: Path) -> bool:
        for _ in range(LINK_ATTEMPTS):
            try:
                make_directory(path.parent)
                path.hardlink_to(unfinished)
                sync_directory(path.parent)
                return True
            except FileNotFoundError:
                continue
            except (FileExistsError, NotADirectoryError):
                if path.is_file():
                    return False
                files = (it for it in path.parents if it.is_file())
                if both := path if path.is_dir() else next(files, None):
                    raise ValueError(f"{both} cannot be both an artifact and a folder") from None
                # The file that was in the way is gone: another process deleted it.
        raise StoreUnavailable(f"{path} could not be written: its folder keeps vanishing.")

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        path = self._place(key)
        with disk_faults(self.url):
            try:
                file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise ArtifactMissing(key) from None
        with file:
            yield file

    def _place(self, key: str) -> Path:
        return self._safe(self._root / checked_key(key))

    def _safe(self, path: Path) -> Path:
        if os.path.realpath(path) != str(path):
            raise StoreRefused(
                f"{path} is or lies behind a symbolic link.",
                hint="Remove the link: artifacts may only lie inside the store's directory.",
            )
        return path

    def _walk(self, folder: Path, path: str, beginning: str = "", after: str = "") -> Iterator[str]:
        """Yield keys under the folder whose next part starts with `beginning`, in lexical order.

        Folders whose keys all sort before `after` are not read.
        """
        try:
            with os.scandir(folder) as scanned:
                entries = [
                    (f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name)
                    for entry in scanned
                    if entry.name.startswith(beginning) and not entry.is_symlink()
                ]
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in sorted(entries):
            key = path + name
            if key <= after and not after.startswith(key):
                continue
            if name.endswith("/"):
                if folder / name != self._incoming:
                    yield from self._walk(folder / name, key, "", after)
            elif key > after:
                yield key

    def _sweep(self) -> None:
        """Delete unfinished files of writers that died: those older than STALE_SECONDS."""
        oldest = time.time() - STALE_SECONDS
        with suppress(OSError):
            for unfinished in self._incoming.iterdir():
                if unfinished.lstat().st_mtime < oldest:
                    unfinished.unlink(missing_ok=True)

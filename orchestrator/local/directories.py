"""Directories that only their owner can enter: the store, logs and metrics of a local cluster.

Recordings and transcripts are private, and a machine may have other users.
"""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600


def private_directory(path: Path) -> Path:
    """Make a directory, or close an existing one of ours to others. Raises OSError.

    Parents that are missing are made closed too; those that exist stay as they are.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    if path.stat().st_uid == os.geteuid():
        path.chmod(PRIVATE_DIRECTORY)
    return path


def open_private(path: str, flags: int) -> int:
    """Open a file for `open(opener=…)`; a new one is for its owner alone."""
    return os.open(path, flags, PRIVATE_FILE)

"""Pipes with data in them, and one as standard input."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def piped(data: bytes) -> Iterator[int]:
    """The reading end of a pipe into which a thread writes the data."""
    ours, theirs = os.pipe()

    def write() -> None:
        with os.fdopen(theirs, "wb") as end:
            end.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield ours
    finally:
        with os.fdopen(ours, "rb") as rest:  # what was refused is still being written
            while rest.read(1 << 20):
                pass
        thread.join()


@contextmanager
def standard_input(descriptor: int) -> Iterator[None]:
    """In the block standard input is another open file."""
    before = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)

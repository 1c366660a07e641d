"""A program in a process group of its own, which is gone with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def process_group(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    log: Path,
    directory: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start it, with what it says in `log`; kill the whole group at the end if it goes on."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

"""A child process that ends with its parent, with its output in a log file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from gpu_worker.audio.decoder.sandbox import die_with_parent
from orchestrator.local.directories import open_private


class Child:
    """A child process in a process group of its own."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        environment: Mapping[str, str],
        stdin: bytes | None = None,
        niceness: int = 0,
    ) -> None:
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab", opener=open_private) as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,  # a terminal's Ctrl-C must not reach the child
                preexec_fn=partial(_begin, os.getpid(), niceness),
            )
        if stdin is not None and self._process.stdin is not None:
            self._process.stdin.write(stdin)
            self._process.stdin.close()

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM to the process alone: it may finish its work."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`; return whether the process has ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End the whole group now."""
        self.signal_group(signal.SIGKILL)
        self._process.wait()


def _begin(parent: int, niceness: int) -> None:
    """Set up the child before its program starts: end with the parent, run at the niceness."""
    die_with_parent(parent)
    if niceness:
        os.nice(niceness)
        # With the kernel's autogroup scheduling a session has a niceness of its own.
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))

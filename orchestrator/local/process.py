"""A child process that ends with its parent, with its output in a log file."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
        process: subprocess.Popen[bytes] | None = None
        try:
            with open(log_path, "ab", opener=open_private) as log, _interrupt_later():
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    start_new_session=True,  # a terminal's Ctrl-C must not reach the child
                    preexec_fn=partial(_begin, os.getpid(), niceness),
                )
        except KeyboardInterrupt:
            if process is not None:  # which is known here alone
                with process:
                    process.kill()
            raise
        self._process = process
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


@contextmanager
def _interrupt_later() -> Iterator[None]:
    """Let Ctrl-C wait until the block is over.

    Python runs hooks around a fork, and a KeyboardInterrupt in one is printed and lost. If that
    hook was to release the lock of `logging`, each thread that logs or forks waits for ever.
    """
    came: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


def _begin(parent: int, niceness: int) -> None:
    """Set up the child before its program starts: end with the parent, run at the niceness."""
    die_with_parent(parent)
    if niceness:
        os.nice(niceness)
        # With the kernel's autogroup scheduling a session has a niceness of its own.
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))

"""The command line, `scriptorium`: a module for each group of commands; `commands` has them all.

Exit status: 0 complete, 1 failed, 2 wrong usage, 3 partial, 130 interrupted. No
error reaches the user as a traceback.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_INTERRUPTED = 130
INTERRUPTED = "Interrupted."


def main() -> None:
    """Run a command."""
    with _ended_by_interrupt():
        # Imported here, because its modules take more than a second, and Ctrl-C may come meanwhile.
        from orchestrator.cli.commands import run

        run()


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process at once, until the block sets a handler of its own.

    A KeyboardInterrupt would not do: a library may catch it while it is imported, or Python
    prints it and goes on.
    """

    def end(*_: object) -> None:
        os.write(2, f"{INTERRUPTED}\n".encode())
        os._exit(EXIT_INTERRUPTED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

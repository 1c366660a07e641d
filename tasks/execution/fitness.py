"""Whether this worker can work: its self test, and the failures that only it can be blamed for.

A worker whose device, driver or scratch directory is broken fails in a moment, is free again, and
so wins most messages of the queue. Its failures must not be charged to the units. So a worker
tests itself before it takes messages and after a fault of its own, and one that is unfit ends:
its supervisor starts it again, later and later, until the test passes.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import structlog

from gpu_worker.errors import LibraryMissing, OutOfMemory, ScratchUnusable, WorkerFault
from tasks.runs.units import Run

EXIT_UNFIT = 71  # EX_OSERR: the supervisor restarts on any non-zero status
FAILURES_IN_A_ROW = 3  # of at least two jobs, without a success between them
PROBE_BYTES = 1 << 20
log = structlog.get_logger(__name__)


class Fitness:
    """The health of one worker process. Any number of threads may use it."""

    def __init__(self, test: Callable[[], None]) -> None:
        """`test` returns if the worker can work.

        If it cannot, it raises WorkerFault, LibraryMissing or OutOfMemory.
        """
        self._test = test
        self._failed: list[Run] = []  # the runs of the failures since the last success
        self._lock = threading.Lock()

    def is_fit(self) -> bool:
        """Test the worker now. Raises nothing."""
        try:
            self._test()
        except (WorkerFault, LibraryMissing, OutOfMemory) as error:
            log.error("worker_unfit", code=error.code, reason=error.message, hint=error.advice)
            return False
        except Exception as error:  # the test's own fault must not end a worker that works
            log.warning("self_test_failed", reason=repr(error))
        return True

    def succeeded(self) -> None:
        """Take note of a unit that was computed."""
        with self._lock:
            self._failed.clear()

    def failed(self, run: Run) -> bool:
        """Take note of a failure that no file can cause; return whether they are too many."""
        with self._lock:
            self._failed.append(run)
            many = len(self._failed) >= FAILURES_IN_A_ROW and len(set(self._failed)) > 1
        if many:
            log.error("worker_unfit", reason=f"{len(self._failed)} units failed in a row")
        return many


def end_worker(main_process: int) -> NoReturn:
    """End this process, and with it the worker, whose main process has the given id.

    Messages are not acknowledged: the reconciler issues their units again.
    """
    if main_process != os.getpid():  # a child of a prefork pool, which would be replaced
        os.kill(main_process, signal.SIGTERM)
    os._exit(EXIT_UNFIT)


def check_scratch(directory: Path | None) -> None:
    """Write a file into the directory for scratch files. Raises ScratchUnusable."""
    try:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
    except OSError as error:
        place = directory or tempfile.gettempdir()
        raise ScratchUnusable(f"No file can be written to {place}: {error.strerror}.") from error

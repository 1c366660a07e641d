"""Processes of the rig: many workers that share the memory of what they import, and a reconciler.

    python -m benchmarks.fleet.rig_processes workers FIRST COUNT
    python -m benchmarks.fleet.rig_processes reconciler FILE

Each worker is a process as in production: Celery's worker with its pool of threads and its own
connections. It is forked from one process that has imported all, so it costs some MB, not 150. The
reconciler writes the seconds of each pass into the file.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn


def work(first: int, count: int) -> NoReturn:
    """Fork so many workers, and wait until all have ended."""
    from orchestrator.local.workers import WorkerSpec, worker_command
    from tasks.app import app
    from tasks.runs.stages import Pool

    app.loader.import_default_modules()
    import celery.bin.celery
    import celery.concurrency.thread
    import celery.worker.consumer  # noqa: F401 - so that all workers share its memory

    gc.collect()
    gc.freeze()
    for number in range(first, first + count):
        if os.fork() == 0:
            spec = WorkerSpec(f"gpu{number}@rig", Pool.GPU, concurrency=6)
            command = worker_command(spec)
            app.worker_main(command[command.index("worker") :])
            os._exit(0)
        time.sleep(0.05)
    while True:
        signal.pause()


def reconcile(file: Path) -> None:
    """Run a reconciler until the process is ended."""
    from config.logging import configure_logging
    from config.settings import settings
    from orchestrator.cluster.connection import open_cluster
    from orchestrator.reconciler import Reconciler

    configure_logging("WARNING", "json")
    reconciler = Reconciler(open_cluster(settings()))
    make_pass = reconciler.reconcile

    def timed() -> object:
        began = time.monotonic()
        try:
            return make_pass()
        finally:
            with file.open("a") as passes:
                passes.write(f"{time.time()} {time.monotonic() - began:.4f}\n")

    reconciler.reconcile = timed  # type: ignore[method-assign, assignment]
    reconciler.run(threading.Event())


if __name__ == "__main__":
    if sys.argv[1] == "workers":
        work(int(sys.argv[2]), int(sys.argv[3]))
    else:
        reconcile(Path(sys.argv[2]))

"""Commands that are a part of a cluster: `up` (all of it here), `worker`, `reconciler`."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Annotated

import typer

from config.logging import configure_logging
from orchestrator.cli.context import connection, current_settings
from orchestrator.connection import masked
from orchestrator.local import LocalCluster, announce
from orchestrator.reconciler import Reconciler as Loop
from orchestrator.workers import CPU_PROCESSES, WorkerSpec, worker_command, worker_environment
from tasks.stages import Pool

GRACE_SECONDS = 60.0  # what `up` gives its workers to finish what they do


def up(
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="GPU workers.")] = None,
) -> None:
    """Run a whole cluster on this machine until Ctrl-C."""
    values = current_settings()
    configure_logging("WARNING", "text")  # deaths and repairs are worth a line here
    stop = _stop_event()
    with LocalCluster(values, workers=workers) as cluster:
        settings = cluster.connection.settings
        address = announce(cluster, values.home)
        url = settings.redis_url.get_secret_value() if settings.redis_url else ""
        typer.echo(f"Redis:  {masked(url)}\nStore:  {settings.store_url}\nLogs:   {cluster.logs}")
        typer.echo("Ready. `scriptorium submit FILE` in another terminal; Ctrl-C stops it.")
        stop.wait()
        typer.echo("Stopping; work in hand is finished first. Ctrl-C again ends it now.")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        address.unlink(missing_ok=True)
        cluster.close(GRACE_SECONDS)


def worker(
    pool: Annotated[Pool, typer.Option(help="cpu or gpu: which stages it does.")] = Pool.GPU,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Units at once; by default 1, or 2 on cpu.")
    ] = None,
    gpu: Annotated[int | None, typer.Option(min=0, help="Index of the GPU it owns.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of a CPU model.")] = None,
    name: Annotated[str | None, typer.Option(help="Unique in the cluster.")] = None,
) -> None:
    """Run one worker of a cluster; it becomes `celery worker`."""
    settings = connection().settings
    spec = WorkerSpec(
        name=name
        or f"{pool.value}{'' if gpu is None else gpu}-{os.getpid()}@{socket.gethostname()}",
        pool=pool,
        gpu=gpu,
        threads=threads or settings.cpu_threads or os.cpu_count() or 1,
        concurrency=concurrency or (CPU_PROCESSES if pool is Pool.CPU else 1),
    )
    command = worker_command(spec)
    os.execve(command[0], command, worker_environment(spec, settings, os.environ))


def reconciler() -> None:
    """Run the loop that issues lost work again; one a cluster is enough, two are safe."""
    configure_logging(current_settings().log_level, current_settings().log_format)
    Loop(connection()).run(_stop_event())


def _stop_event() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop

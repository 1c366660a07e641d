"""The commands that run a cluster or a part of it: `up`, `serve`, `worker`, `reconciler`."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from config.logging import configure_logging
from config.settings import Settings
from gpu_worker.devices.naming import checked_gpu, missing_gpu, short_gpu
from gpu_worker.errors import InvalidOption
from gpu_worker.models.whisper import AUTO
from orchestrator.cli.context import check_home, current_settings, opened_cluster, stop_event
from orchestrator.cluster.store_requirements import check_store_at_start
from orchestrator.collections.delivery import round_courier
from orchestrator.local.cluster import LocalCluster, announce
from orchestrator.local.front_door import FLOWER_HOST, FLOWER_USER, url_of
from orchestrator.local.placement import Placement
from orchestrator.local.workers import (
    WorkerSpec,
    check_libraries,
    pool_named,
    stages_named,
    worker_command,
    worker_environment,
)
from orchestrator.outbox.courier import Courier
from orchestrator.reconciler import Reconciler as Loop
from tasks.artifacts.opening import PROMPT, open_store
from tasks.runs.stages import Pool
from tasks.telemetry.heartbeat import Heartbeat

Host = Annotated[
    str | None, typer.Option(help="Address that the API listens on (SCRIPTORIUM_API_HOST).")
]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Port of the API (SCRIPTORIUM_API_PORT); 0: any free one."),
]
GRACE_SECONDS = 60.0  # how long `up` lets its workers finish their units after Ctrl-C


def up(
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Fixed number of GPU workers.")
    ] = None,
    min_workers: Annotated[
        int | None,
        typer.Option(min=0, max=64, help="Least GPU workers, when they follow the load."),
    ] = None,
    max_workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Most GPU workers, when they follow the load.")
    ] = None,
    placement: Annotated[
        Placement, typer.Option(help="shared: each GPU does every stage; by-stage: only some.")
    ] = Placement.SHARED,
    host: Host = None,
    port: Port = None,
    no_api: Annotated[bool, typer.Option("--no-api", help="Start no API and no web page.")] = False,
    flower: Annotated[bool, typer.Option("--flower", help="Start Flower too, read-only.")] = False,
    flower_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of Flower; 0: any free one.")
    ] = None,
) -> None:
    """Run a whole cluster on this machine until Ctrl-C: workers, API, web page, Celery trigger."""
    values = _listening(host, port, flower_port)
    if not values.prefetch_models and values.model != AUTO:  # jobs that name no model need it
        values = values.model_copy(update={"prefetch_models": values.model})
    check_home(values)
    configure_logging("WARNING", "text")  # program deaths and repairs are logged as warnings
    stop = stop_event()
    with LocalCluster(
        values,
        workers=workers,
        min_workers=min_workers,
        max_workers=max_workers,
        placement=placement,
        api=not no_api,
        celery_trigger=True,
        flower=flower,
    ) as cluster:
        address = announce(cluster, values.home)
        try:
            _serve_metrics(cluster.services.settings)
            cluster.wait_until_ready(stop)
            typer.echo("\n".join(_places(cluster, values, flower)))
            typer.echo("Ready. `scriptorium submit FILE` in another terminal; Ctrl-C stops it.")
            while not stop.wait(1.0):  # without a timeout it could miss a signal
                pass
            typer.echo("Stopping; work in hand is finished first. Ctrl-C again ends it now.")
        finally:
            address.unlink(missing_ok=True)
        cluster.close(GRACE_SECONDS)


def serve(
    host: Host = None,
    port: Port = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Let other processes with --shared use the port too.")
    ] = False,
) -> None:
    """Run the API and the web page of a cluster; several of these may run at once."""
    # Imported here, because it imports the web framework, which takes a while.
    from orchestrator.api.server import listen, run_server

    to = opened_cluster(PROMPT)
    values = _listening(host, port)
    configure_logging(values.log_level, values.log_format)
    try:
        check_store_at_start(to.store)
        sockets = [listen(values.api_host, values.api_port, shared=True)] if shared else None
        run_server(to, values.api_host, values.api_port, sockets)
    finally:
        to.close()


def worker(
    pool: Annotated[
        str, typer.Option(help="cpu, gpu, or a pool that SCRIPTORIUM_POOLS names.")
    ] = "gpu",
    stages: Annotated[
        str | None, typer.Option(help="Stages to do, by comma; by default all of the pool.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Units at once; by default the pool's number.")
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(help="GPU to use: its index or UUID, or the UUID of a MIG instance."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads that a model uses on the CPU.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name, unique in the cluster.")] = None,
) -> None:
    """Run one worker of a cluster. The process is replaced by `celery worker`."""
    place = "" if gpu is None else _place_of(gpu)
    settings = opened_cluster().settings
    own = pool_named(pool, settings)
    if gpu is not None and own.kind is Pool.CPU:
        raise InvalidOption(f"Workers of the pool {own.name} use no GPU.", hint="Leave --gpu out.")
    spec = WorkerSpec(
        name=name or f"{pool}{place}-{os.getpid()}@{socket.gethostname()}",
        kind=own.kind,
        pool=own.name,
        stages=stages_named(stages, own) if stages else own.stages,
        gpu=gpu.strip() if gpu else None,
        threads=threads or settings.cpu_threads or os.cpu_count() or 1,
        concurrency=concurrency or own.concurrency,
    )
    check_libraries(spec)
    if settings.metrics_port is not None and settings.metrics_dir is None and own.kind is Pool.CPU:
        # A CPU worker forks; its child processes write their counters into one directory.
        directory = Path(tempfile.mkdtemp(prefix="scriptorium-metrics-"))
        settings = settings.model_copy(update={"metrics_dir": directory})
    Heartbeat(settings.heartbeat_file)  # it deletes an earlier worker's
    command = worker_command(spec)
    environment = worker_environment(spec, settings, os.environ, takes_over=True)
    os.execve(command[0], command, environment)


def _place_of(gpu: str) -> str:
    """Return the part of a worker's name that its GPU gives. Raises InvalidOption."""
    name = checked_gpu(gpu)
    if missing := missing_gpu(name):
        raise InvalidOption(missing, hint="`nvidia-smi -L` lists them.")
    return short_gpu(name)


def reconciler() -> None:
    """Run the reconciler: send lost units again, finish deletions, deliver webhooks and files.

    One in a cluster is enough; two are safe.
    """
    configure_logging(current_settings().log_level, current_settings().log_format)
    to, stop = opened_cluster(), stop_event()
    # With less patience than its own: nothing beats for the process until its loop runs.
    url, endpoint = to.settings.store_url or "", to.settings.s3_endpoint_url
    check_store_at_start(open_store(url, endpoint_url=endpoint, patience=PROMPT))
    _serve_metrics(to.settings)
    couriers = [
        threading.Thread(target=it.run, args=(stop,), name="courier")
        for it in (Courier(to), round_courier(to))
    ]
    for courier in couriers:
        courier.start()
    try:
        Loop(to).run(stop)
    finally:
        stop.set()
        for courier in couriers:
            courier.join()


def _listening(host: str | None, port: int | None, flower_port: int | None = None) -> Settings:
    """Return the settings, with the addresses that the command line gives."""
    given = {"api_host": host, "api_port": port, "flower_port": flower_port}
    return current_settings().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )


def _places(cluster: LocalCluster, values: Settings, flower: bool) -> Iterator[str]:
    """Yield the lines that say where the page, the API, Redis, the store and the logs are."""
    settings = cluster.services.settings
    if cluster.api_url is not None:
        yield f"Page:   {cluster.api_url}/"
        yield f"API:    {cluster.api_url}/v1"
        yield f"Docs:   {cluster.api_url}/docs"
    if flower and settings.flower_password is not None:
        yield f"Flower: {url_of(FLOWER_HOST, settings.flower_port)}/"
        known = values.flower_password is not None
        password = "in the settings" if known else settings.flower_password.get_secret_value()
        yield f"        user {FLOWER_USER}, password {password}"
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    yield f"Redis:  {masked(url)}"
    yield f"Store:  {settings.store_url}"
    yield f"Logs:   {cluster.logs}"


def _serve_metrics(settings: Settings) -> None:
    """Serve this process's metrics and the cluster's load, if the settings name a port."""
    if settings.metrics_port is not None:
        # Imported here, because they import an HTTP server, which takes a while.
        from orchestrator.scaling.readings import LoadReadings
        from tasks.telemetry.exposition import serve_own_metrics

        serve_own_metrics(settings, LoadReadings(settings))


def masked(url: str) -> str:
    """Return a URL without its user name and password."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://***@{tail}" if at else url

"""The metrics of this process, as a Prometheus registry and on a port of its own.

Processes of one machine that share a directory (`PROMETHEUS_MULTIPROC_DIR`) count together: each
serves the sum, in which the counts of ended processes stay.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog
from celery.signals import celeryd_after_setup
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from config.listening import EVERY_ADDRESS, EVERY_IPV4_ADDRESS, bound_address
from config.settings import Settings, settings
from gpu_worker.errors import InvalidOption
from tasks.telemetry.gpu_readings import GpuReadings

TRIES = 3  # to read files that other processes are writing at the moment
log = structlog.get_logger(__name__)
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which no dashboard needs


class _Shared(Collector):
    """The summed counts of all processes with the same directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        if not self._directory.is_dir():
            return ()
        for attempt in range(TRIES):
            try:
                files: Collector = MultiProcessCollector(None, path=str(self._directory))  # type: ignore[no-untyped-call]
                found: Iterable[Metric] = files.collect()
                return found
            except (OSError, ValueError, struct.error):  # a file that is not whole yet
                if attempt == TRIES - 1:
                    log.warning("metrics_not_read", directory=str(self._directory))
                time.sleep(0.01)
        return ()


def make_registry(directory: Path | None, *others: Collector) -> CollectorRegistry:
    """Return a registry of this process's counts, or the directory's sums, and the others."""
    registry = CollectorRegistry()
    registry.register(_Shared(directory) if directory is not None else REGISTRY)
    for one in others:
        registry.register(one)
    return registry


def serve_metrics(port: int | None, registry: CollectorRegistry) -> int | None:
    """Serve /metrics on that port of every address; 0 takes any free port. Returns the port.

    It is reached over IPv4 and over IPv6, where the machine has both.
    Does nothing for None. Raises InvalidOption if the port cannot be opened.
    """
    if port is None:
        return None
    try:
        server, _ = start_http_server(port, bound_address(EVERY_ADDRESS), registry)
        if _is_for_ipv6_alone(server.socket):
            start_http_server(server.server_port, EVERY_IPV4_ADDRESS, registry)
    except OSError as error:
        raise InvalidOption(
            f"The metrics cannot be served on port {port}: {error.strerror or error}.",
            hint="Choose another with SCRIPTORIUM_METRICS_PORT, one for each process.",
        ) from error
    log.info("metrics_served", port=server.server_port)
    return server.server_port


def _is_for_ipv6_alone(listener: socket.socket) -> bool:
    """Tell whether IPv4 does not reach it, as the kernel's `bindv6only` may have it."""
    if listener.family is not socket.AF_INET6:
        return False
    return bool(listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def serve_own_metrics(values: Settings, *others: Collector) -> int | None:
    """Serve metrics, also of GPUs, on the settings' port, if there is one. Raises InvalidOption."""
    registry = make_registry(values.metrics_dir, GpuReadings(values), *others)
    return serve_metrics(values.metrics_port, registry)


@celeryd_after_setup.connect
def _serve(**_: Any) -> None:
    """Serve the metrics of a Celery worker's main process, before it forks."""
    try:
        serve_own_metrics(settings())
    except InvalidOption as error:
        raise SystemExit(f"{error.code}: {error.message} {error.advice}") from error

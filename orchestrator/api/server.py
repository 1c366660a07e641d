"""The HTTP server: uvicorn with the application, on a checked address."""

from __future__ import annotations

import errno
import gc
import resource
import socket
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from config.listening import EVERY_ADDRESS, open_listener
from gpu_worker.errors import InvalidOption
from orchestrator.access.exposure import check_exposure
from orchestrator.api.application import make_application
from orchestrator.api.connections import Connections
from orchestrator.api.internal import ByPort, make_internal
from orchestrator.api.protocol import BoundedProtocol
from orchestrator.cluster.connection import Cluster
from orchestrator.events.hub import Hub
from orchestrator.trail.entry import Entry
from tasks.telemetry.heartbeat import Heartbeat
from tasks.telemetry.systemd import STOPPING, tell

# A thread that comes back from Redis or the store waits so long at most for the event loop, which
# a flood of connections keeps busy. Python's own 5 ms are waited several times in a request.
SWITCH_SECONDS = 0.0005
GRACE_SECONDS = 5  # for replies in progress when the server must end
BACKLOG = 2048
OTHER_FILES = 512  # that a process opens besides connections: Redis, the store, files of forms
_PORT_HINT = "Choose another with --host and --port, or SCRIPTORIUM_API_PORT."
_METRICS_HINT = "Choose another with SCRIPTORIUM_METRICS_PORT, one for each process."
log = structlog.get_logger(__name__)


def run_server(
    cluster: Cluster, host: str, port: int, sockets: Sequence[socket.socket] | None = None
) -> None:
    """Serve the API until SIGTERM or SIGINT, on `sockets` if they are open already.

    Raises InvalidOption for a public address without API keys, or one that cannot be opened.
    """
    opened = list(sockets) if sockets else [listen(host, port)]
    internal = cluster.settings.metrics_port
    try:
        if internal is not None:
            opened.append(listen(EVERY_ADDRESS, internal, hint=_METRICS_HINT))
            internal = opened[-1].getsockname()[1]
            log.info("metrics_served", port=internal)
        sys.setswitchinterval(SWITCH_SECONDS)
        allow_files(cluster.settings.max_connections + OTHER_FILES)
        server = make_server(cluster, host, port, internal)
        limits = {"quotas": cluster.settings.quotas}
        by, where = "scriptorium", socket.gethostname()
        cluster.trail.note(Entry("quotas.read", None, by, origin=where, details=limits))
        gc.collect()
        gc.freeze()  # else each full collection looks at all modules again, for some 50 ms
        server.run(sockets=opened)
    finally:
        for one in opened:
            one.close()


def make_server(
    cluster: Cluster, host: str, port: int, internal_port: int | None = None
) -> uvicorn.Server:
    """Return a server that is not running yet; requests at the internal port need no key.

    Raises InvalidOption for a public address without keys.
    """
    settings = cluster.settings
    serves_without_key = check_exposure(cluster.store, settings, host)
    if settings.work_dir is not None:  # for the temporary files of uploads
        settings.work_dir.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = str(settings.work_dir)
    application = make_application(cluster)
    application.state.serves_without_key = serves_without_key
    served: ASGIApp = application
    if internal_port is not None:
        served = ByPort(application, make_internal(cluster), internal_port)
    server = _Server(
        uvicorn.Config(
            served,
            host=host,
            port=port,
            loop="uvloop",
            # A class for uvicorn, which only calls it.
            http=cast(Any, partial(BoundedProtocol, Connections(settings))),
            ws="none",  # else a request could leave the bounds of `connections` by an upgrade
            lifespan="on",
            log_config=None,  # the process's own logging, which is structlog's
            access_log=False,
            proxy_headers=False,  # any client could send them
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=BACKLOG,
        )
    )
    server.hub = application.state.hub
    server.heartbeat = Heartbeat(settings.heartbeat_file)
    return server


class _Server(uvicorn.Server):
    """A server that beats, and ends event streams before it stops, as it would wait for them."""

    hub: Hub
    heartbeat: Heartbeat

    async def on_tick(self, counter: int) -> bool:
        """Beat: uvicorn calls this in its event loop, ten times a second."""
        self.heartbeat.beat()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams, then the server."""
        tell(STOPPING)
        self.hub.stop()
        await super().shutdown(sockets)


def allow_files(count: int) -> None:
    """Let this process open so many files at once, or as many as the system allows."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if most == resource.RLIM_INFINITY else min(count, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    if wanted < count:
        log.warning("few_files", files=wanted, hint="Raise `ulimit -Hn`, or lower max_connections.")


def listen(host: str, port: int, *, shared: bool = False, hint: str = _PORT_HINT) -> socket.socket:
    """Open a listening socket; port 0 takes any free port. Raises InvalidOption.

    `::` is every address of IPv6 and of IPv4.
    Several `shared` sockets may have the same port; the kernel spreads connections over them.
    """
    try:
        return open_listener(host, port, backlog=BACKLOG, shared=shared)
    except OSError as error:
        reason = (
            "another process listens there"
            if error.errno == errno.EADDRINUSE
            else error.strerror or str(error)
        )
        raise InvalidOption(
            f"The API cannot listen on {host} port {port}: {reason}.",
            hint=hint,
        ) from error

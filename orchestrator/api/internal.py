"""The API's port for machines: /metrics, /v1/autoscale, /healthz and /readyz, without a key.

It is for Prometheus, KEDA and probes. The port that a request arrives at decides, not a header,
which a client could forge.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.access import EVERY_SCOPE, Principal
from orchestrator.api import errors
from orchestrator.api.authentication import operating
from orchestrator.api.middleware.headers import ResponseHeaders
from orchestrator.api.routes import autoscale, health, metrics
from orchestrator.cluster.connection import Cluster


def make_internal(cluster: Cluster) -> FastAPI:
    """Return the application of that port."""
    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    application.state.cluster = cluster
    application.state.readiness = health.Readiness(cluster)
    metrics.install(application, cluster)
    errors.install(application)
    for part in (metrics, autoscale, health):
        application.include_router(part.router)
    operator = Principal(cluster.settings.tenant, EVERY_SCOPE)
    application.dependency_overrides[operating] = lambda: operator
    application.add_middleware(ResponseHeaders)
    return application


class ByPort:
    """ASGI application: the internal one on its port, the public one on all others."""

    def __init__(self, public: ASGIApp, internal: ASGIApp, port: int) -> None:
        self._public, self._internal, self._port = public, internal, port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get("server")  # the socket's own address
        is_internal = scope["type"] == "http" and server and server[1] == self._port
        await (self._internal if is_internal else self._public)(scope, receive, send)

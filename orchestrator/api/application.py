"""The FastAPI application: all routers, error replies and middleware.

It is made from a connected Cluster, so a test can run it in its own process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter
from fastapi import FastAPI

from orchestrator.access.keys import ApiKeys
from orchestrator.access.sessions import Sessions
from orchestrator.access.throttle import WrongKeys
from orchestrator.api import errors
from orchestrator.api.middleware.audit import AuditTrail
from orchestrator.api.middleware.bodies import TRANSFERS, BodyLimit
from orchestrator.api.middleware.counting import RequestMetrics
from orchestrator.api.middleware.headers import ResponseHeaders
from orchestrator.api.middleware.keys_first import KeyBeforeBody
from orchestrator.api.middleware.origins import OwnPagesOnly
from orchestrator.api.middleware.traces import request_traces
from orchestrator.api.middleware.wrong_keys import FewGuesses
from orchestrator.api.openai import audio, models
from orchestrator.api.paths import TrailingSlashes
from orchestrator.api.routes import (
    admin,
    autoscale,
    collections,
    corrections,
    documents,
    events,
    health,
    hooks,
    jobs,
    metrics,
    page,
    recordings,
    sessions,
    speakers,
    transcripts,
    uploads,
    usage,
    vocabularies,
    webhooks,
)
from orchestrator.cluster.connection import Cluster
from orchestrator.events.hub import Hub
from tasks.telemetry.tracing import flush

ROUTERS = (
    *(jobs, collections, events, transcripts, recordings, uploads, audio, models, hooks),
    *(speakers, corrections, vocabularies, webhooks, sessions, admin, usage, autoscale, metrics),
    *(health, documents, page),
)


def make_application(cluster: Cluster) -> FastAPI:
    """Return the API of one cluster; the caller closes the cluster."""

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        application.state.hub.start(asyncio.get_running_loop())
        try:
            yield
        finally:
            application.state.hub.stop()
            flush()

    application = FastAPI(
        title="Scriptorium",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        telemetry=request_traces(cluster.settings),
    )
    application.state.cluster = cluster
    application.state.readiness = health.Readiness(cluster)
    application.state.hub = Hub(cluster)
    keys = ApiKeys(cluster.store, cluster.settings)
    application.state.keys = keys
    application.state.sessions = Sessions(cluster.redis, keys.signer)
    application.state.wrong_keys = WrongKeys(cluster.settings.wrong_keys_per_minute)
    # Whether requests need no key while none exists; `make_server` sets it by the address.
    application.state.serves_without_key = True
    application.state.transfers = CapacityLimiter(TRANSFERS)
    hooks.open_hook(application)  # now, so that wrong rules are an error at the start
    errors.install(application)
    documents.install(application)
    metrics.install(application, cluster)
    for part in ROUTERS:
        # Not by `include_router`: it would build each route again at the first request, to add
        # an application's defaults, of which this one has none.
        application.router.routes.extend(part.router.routes)
    # The middleware that is added last sees a request first.
    application.add_middleware(TrailingSlashes)
    application.add_middleware(KeyBeforeBody)
    application.add_middleware(BodyLimit)
    application.add_middleware(OwnPagesOnly, keys=keys, settings=cluster.settings)
    application.add_middleware(ResponseHeaders)
    reads = cluster.settings.audit_reads
    application.add_middleware(AuditTrail, trail=cluster.trail, reads=reads)
    application.add_middleware(RequestMetrics)
    application.add_middleware(FewGuesses, wrong=application.state.wrong_keys)
    return application

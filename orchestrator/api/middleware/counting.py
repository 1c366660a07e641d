"""Count requests by method, route and status, and measure the seconds until the reply begins.

A route's label is its template, and all paths without a route share one label, so requests for
invented paths cannot create time series.
"""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
OTHER = "other"


class RequestMetrics:
    """ASGI middleware that counts and times requests, around all other middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in METHODS else OTHER
                route = str(getattr(scope.get("route"), "path", OTHER))
                HTTP_REQUESTS.labels(method, route, str(message["status"])).inc()
                HTTP_SECONDS.labels(method, route).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)

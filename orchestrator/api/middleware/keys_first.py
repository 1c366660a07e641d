"""Know the key of a request before its body is read.

FastAPI reads a JSON body before it asks for a route's key, so a client without one could make this
process read and parse a body. The first read of a body therefore asks for the key, unless the path
is one that needs none.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.api.authentication import principal_of
from orchestrator.api.middleware.bodies import LOG_IN

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_HOOKS = "/v1/hooks/"  # they ask for a secret of their own before they read


class KeyBeforeBody:
    """ASGI middleware: the route that reads a body without a good key gets NotAuthenticated."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] in _WITHOUT_BODY
            or scope["path"] == LOG_IN  # the key is in its body
            or scope["path"].startswith(_HOOKS)
        ):
            await self._app(scope, receive, send)
            return
        is_known = False

        async def checked() -> Message:
            nonlocal is_known
            if not is_known:
                await principal_of(Request(scope))
                is_known = True
            return await receive()

        await self._app(scope, checked, send)

"""Put the request's id and security headers for browsers into every reply.

Unexpected exceptions of routes are answered here, so that those replies have the headers too.
"""

from __future__ import annotations

import re
import secrets

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.api.errors import envelope

REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_UNLESS_SET = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
log = structlog.get_logger(__name__)


class ResponseHeaders:
    """ASGI middleware that sets headers and answers unexpected exceptions with status 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = _request_id(scope)
        is_started = False

        async def marked(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = message["headers"] = list(message.get("headers", ()))
                present = {key for key, _ in headers}
                headers.append((REQUEST_ID, name))
                headers += [item for item in _ALWAYS if item[0] not in present]
                headers += [item for item in _UNLESS_SET if item[0] not in present]
            await send(message)

        structlog.contextvars.bind_contextvars(request=name.decode())
        try:
            await self._app(scope, receive, marked)
        except ClientDisconnect:
            return  # the client has gone
        except Exception as error:
            log.error("request_failed", path=scope["path"], exc_info=error)
            if is_started:
                raise  # cuts the reply off, so that the client does not take it for complete
            message = "Something went wrong here; the log has it. Try again."
            await envelope(500, message, "internal_error")(scope, receive, marked)
        finally:
            structlog.contextvars.unbind_contextvars("request")


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == REQUEST_ID and _ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(12).encode()

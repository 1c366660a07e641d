"""Limit the size of request bodies, counted as they stream in.

Every body has a small limit. A route that takes files raises it after it has checked the key, so
a client without a key cannot make this process read a file.
"""

from __future__ import annotations

from typing import Any

from anyio import CapacityLimiter
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpu_worker.errors import PermanentError

SMALL_BYTES = 1 << 20
LOG_IN = "/v1/session"  # read without a key
LOG_IN_BYTES = 4096
TRANSFERS = 8  # files that are copied into the store at once, of 40 threads
_IN_SCOPE = "scriptorium.body_limit"


class BodyTooLarge(PermanentError):
    """The body of the request is larger than its limit."""

    code = "body_too_large"
    hint = "Send less; a file goes to POST /v1/uploads or into a form."


class BodyLimit:
    """ASGI middleware: the route that reads a body above its limit gets BodyTooLarge."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        allowed: dict[str, int] = {
            "bytes": LOG_IN_BYTES if scope["path"] == LOG_IN else SMALL_BYTES
        }
        scope[_IN_SCOPE] = allowed
        declared = _declared(scope)
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            if declared > allowed["bytes"]:  # refused before any of it is read
                raise _too_large(allowed["bytes"])
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > allowed["bytes"]:
                raise _too_large(allowed["bytes"])
            return message

        await self._app(scope, counted, send)


def allow_body(request: Request, size_bytes: int) -> None:
    """Set the limit of this request's body."""
    allowed: dict[str, int] = request.scope.setdefault(_IN_SCOPE, {})
    allowed["bytes"] = size_bytes


def transfers_of(request: Request) -> CapacityLimiter:
    """Return the limiter to hold while a thread copies a file.

    It leaves threads for other requests while many large files are copied.
    """
    found: CapacityLimiter = request.app.state.transfers
    return found


def _declared(scope: Scope) -> int:
    headers: Any = scope["headers"]
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {limit} bytes.")

"""Refuse requests from the web pages of other sites.

A browser sends what any page asks for, with the cookie, also to localhost. So a request of
another site's page that changes something is refused, unless it has an API key in a header,
which such a page cannot know. While no key is needed, any text passes as a key, so a key proves
nothing; then only requests to this machine's own names are answered too: otherwise a page could
let its own name resolve to this machine's address (DNS rebinding).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from config.settings import Settings
from gpu_worker.errors import PermanentError
from orchestrator.access.keys import ApiKeys
from orchestrator.api.authentication import secret_in
from orchestrator.api.errors import reply_to

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class ForeignPage(PermanentError):
    """The request comes from another site's web page."""

    code = "foreign_page"
    hint = (
        "Send it from the API's own page, or with a key in a header: `scriptorium keys create` "
        "makes one."
    )


class ForeignHost(PermanentError):
    """Without API keys, only requests to this machine's own names are answered."""

    code = "foreign_host"
    hint = "Ask for http://localhost, or make a key: `scriptorium keys create`."


class OwnPagesOnly:
    """ASGI middleware that answers 403 to requests that another site's page may have sent."""

    def __init__(self, app: ASGIApp, keys: ApiKeys, settings: Settings) -> None:
        self._app = app
        self._keys = keys
        self._names = _LOCAL | {settings.api_host}
        self._is_public = settings.allow_anonymous  # then any host name is accepted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            host = headers.get(b"host", b"").decode("latin-1")
            if (
                scope["method"] not in _SAFE
                and _is_foreign(headers, host)
                and not (_holds_key(headers) and await self._needs_keys())
            ):
                await reply_to(ForeignPage())(scope, receive, send)
                return
            if (
                not self._is_public
                and name_of(host) not in self._names
                and not await self._needs_keys()
            ):
                await reply_to(ForeignHost())(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _needs_keys(self) -> bool:
        if self._keys.is_stale:
            return await run_in_threadpool(self._keys.exist)
        return self._keys.exist()


def name_of(host: str) -> str:
    """Return the host of a Host header, without port and brackets; empty if it is invalid."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_foreign(headers: dict[bytes, bytes], host: str) -> bool:
    origin = headers.get(b"origin")
    if origin is None:  # browsers always send it with these methods
        return headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin")
    scheme, _, place = origin.decode("latin-1").partition("://")
    return scheme not in ("http", "https") or place.lower() != host.lower()


def _holds_key(headers: dict[bytes, bytes]) -> bool:
    held = (headers.get(name, b"").decode("latin-1") for name in (b"authorization", b"x-api-key"))
    return secret_in(*held) is not None

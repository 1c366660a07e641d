"""Which web pages may talk to this API: its own only.

A browser sends whatever a page tells it to, with the cookie, to localhost too. So a change
that a foreign page asks for is refused, unless the request holds an API key, which a foreign
page cannot know. Where no key is needed any text passes for one, so there it proves nothing.
And where no key is needed, only the names of this machine are served:
else a page could give its own name this machine's address (DNS rebinding).
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
    """The request comes from a web page of another site."""

    code = "foreign_page"
    hint = (
        "Send it from the API's own page, or with a key in a header: `scriptorium keys create` "
        "makes one."
    )


class ForeignHost(PermanentError):
    """Without API keys only requests to this machine's own name are answered."""

    code = "foreign_host"
    hint = "Ask for http://localhost, or make a key: `scriptorium keys create`."


class OwnPagesOnly:
    """ASGI middleware; it answers by 403 what a foreign page may have sent."""

    def __init__(self, app: ASGIApp, keys: ApiKeys, settings: Settings) -> None:
        self._app = app
        self._keys = keys
        self._names = _LOCAL | {settings.api_host}
        self._is_public = settings.allow_anonymous  # under whatever name it is reached

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
        return await run_in_threadpool(self._keys.exist)


def name_of(host: str) -> str:
    """A Host header without its port and without brackets; empty if it is none."""
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

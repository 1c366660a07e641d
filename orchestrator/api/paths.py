"""Paths that are nearly right: serve them, or answer with the right path.

Clients are often configured with a wrong address: without `/v1`, with a part of the path twice,
with a slash at the end.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

ROOT = "/v1"
LONGEST_SHOWN = 200  # characters of a path in an error message


class TrailingSlashes:
    """ASGI middleware: below `/v1` it removes slashes at the end of a path.

    A redirect would help only browsers: curl prints nothing and exits with success. A slash that
    is written as %2F is a part of a name and stays.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(f"{ROOT}/"):
            written: bytes = scope.get("raw_path") or scope["path"].encode()
            slashes = len(written) - len(written.rstrip(b"/"))
            if slashes:  # changed in place, as the outer middleware reads the scope's route
                scope["path"] = scope["path"][:-slashes]
        await self._app(scope, receive, send)


def not_there(path: str, is_route: Callable[[str], bool]) -> str:
    """Return the message for a path without a route; `is_route` tells whether a path has one.

    It does not repeat the path: some users put their key into it by mistake.
    """
    if path.rstrip("/") == ROOT:
        return (
            f"{ROOT} is where the API begins: an OpenAI client takes it as its base_url. "
            "/docs lists the addresses below it."
        )
    meant = _meant(path, is_route)
    if meant is None:
        return "There is nothing at this address. /docs lists every one."
    return (
        f"There is nothing at this address. Use {meant[:LONGEST_SHOWN]}; the base_url of an OpenAI "
        f"client ends in {ROOT}."
    )


def _meant(path: str, is_route: Callable[[str], bool]) -> str | None:
    """Return the longest end of the path that is a route, with or without `/v1` before it."""
    parts = [part for part in path.split("/") if part]
    for first in range(len(parts)):
        end = "/" + "/".join(parts[first:])
        for found in (end, ROOT + end):
            if found.startswith(f"{ROOT}/") and found != path and is_route(found):
                return found
    return None

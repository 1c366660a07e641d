"""Paths that are nearly right: served, or answered with the one that was meant.

A client is often given its address wrongly: without `/v1`, with a part of the path twice, with
a slash at the end.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

ROOT = "/v1"
LONGEST_SHOWN = 200  # characters of an address that is told back


class TrailingSlashes:
    """ASGI middleware: below `/v1` an address with a slash at its end is the one without.

    A redirect would do for browsers only: curl prints nothing of one and ends well. A slash that
    is written as %2F is a part of a name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(f"{ROOT}/"):
            written: bytes = scope.get("raw_path") or scope["path"].encode()
            slashes = len(written) - len(written.rstrip(b"/"))
            if slashes:  # in place: the outer ones read its route
                scope["path"] = scope["path"][:-slashes]
        await self._app(scope, receive, send)


def not_there(path: str, is_route: Callable[[str], bool]) -> str:
    """What to say of an address where nothing is; `is_route` knows those where something is.

    The address itself is not told back: some put their key into it by mistake.
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
    """The longest end of the path that is an address of the API, with `/v1` before it or not."""
    parts = [part for part in path.split("/") if part]
    for first in range(len(parts)):
        end = "/" + "/".join(parts[first:])
        for found in (end, ROOT + end):
            if found.startswith(f"{ROOT}/") and found != path and is_route(found):
                return found
    return None

"""Find the sender of a request by its API key; while no keys exist, requests are anonymous.

While no keys exist, a key in a request is ignored: OpenAI's clients must send one, so their users
write any word.

Routes name the scope that they need: `caller: Reader`, `Writer` or `Admin`, or `Depends(operating)`
in the decorator. A browser sends its key as a cookie that scripts cannot read
(`orchestrator/api/routes/sessions.py`).
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer

from orchestrator.access import (
    EVERY_SCOPE,
    NotAllowed,
    NotAuthenticated,
    Principal,
    Scope,
)
from orchestrator.access.keys import ApiKeys
from orchestrator.cluster.connection import Cluster

COOKIE = "scriptorium_session"
LONGEST_KEY = 512  # characters; keys of Scriptorium have 47

_bearer = HTTPBearer(auto_error=False, description="An API key: `scriptorium keys create`.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False)
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by POST /v1/session.")


def cluster_of(request: Request) -> Cluster:
    """Return the cluster of the request's application."""
    found: Cluster = request.app.state.cluster
    return found


async def _cluster(request: Request) -> Cluster:
    return cluster_of(request)  # async, as FastAPI runs other dependencies in a thread


def keys_of(request: Request) -> ApiKeys:
    """Return the API keys of the request's application."""
    found: ApiKeys = request.app.state.keys
    return found


def secret_of(request: Request) -> str | None:
    """Return the API key of a request, or None; headers win over the cookie."""
    headers = request.headers
    held = secret_in(headers.get("authorization", ""), headers.get("x-api-key", ""))
    return held or _from_cookie(request.cookies.get(COOKIE))


def secret_in(authorization: str, x_api_key: str) -> str | None:
    """Return the API key in the values of these two headers, or None; the first wins."""
    scheme, _, bearer = authorization.partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return x_api_key or None


def in_cookie(secret: str) -> str:
    """Encode a key for a cookie, as base64url without padding."""
    return urlsafe_b64encode(secret.encode()).decode().rstrip("=")


def _from_cookie(value: str | None) -> str | None:
    if not value:
        return None
    try:
        return urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
    except ValueError:
        return value  # counts as an unknown key, not as no key


async def principal_of(request: Request) -> Principal:
    """Return the sender of a request. Raises NotAuthenticated.

    An unknown key counts as no key: both are refused if keys exist. If none exist and the server
    may answer without keys, both are anonymous.
    """
    keys, secret = keys_of(request), secret_of(request)
    if secret and len(secret) <= LONGEST_KEY:
        with suppress(NotAuthenticated):
            if keys.remembers(secret):  # without a thread, which would slow every request down
                return keys.principal(secret)
            return await run_in_threadpool(keys.principal, secret)
    needed = await run_in_threadpool(keys.exist) if keys.is_stale else keys.exist()
    if needed or not request.app.state.serves_without_key:
        raise NotAuthenticated()
    return Principal(cluster_of(request).settings.tenant, EVERY_SCOPE)


def _having(scope: Scope) -> Callable[..., Awaitable[Principal]]:
    async def check(
        request: Request,
        # Declared for the documentation; `secret_of` reads them.
        bearer: Annotated[object, Security(_bearer)],
        header: Annotated[object, Security(_header)],
        cookie: Annotated[object, Security(_cookie)],
    ) -> Principal:
        principal = await principal_of(request)
        if not principal.may(scope):
            raise NotAllowed(f"This needs a key with the scope {scope.value!r}.")
        return principal

    return check


async def _keys(request: Request) -> ApiKeys:
    return keys_of(request)


Keys = Annotated[ApiKeys, Depends(_keys)]
CurrentCluster = Annotated[Cluster, Depends(_cluster)]
Reader = Annotated[Principal, Depends(_having(Scope.READ))]
Writer = Annotated[Principal, Depends(_having(Scope.WRITE))]
Admin = Annotated[Principal, Depends(_having(Scope.ADMIN))]
operating = _having(Scope.OPERATE)

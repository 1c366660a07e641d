"""Find the sender of a request by its API key; while no keys exist, requests are anonymous.

While no keys exist, a key in a request is ignored: OpenAI's clients must send one, so their users
write any word. A request that came through a proxy is never anonymous on this machine's own
address: the proxy reaches it there for clients from anywhere.

Routes name the scope that they need: `caller: Reader`, `Writer` or `Admin`, or `Depends(operating)`
in the decorator. A browser sends the token of a session as a cookie that scripts cannot read
(`orchestrator/api/routes/sessions.py`).
"""

from __future__ import annotations

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
    TooManyWrongKeys,
)
from orchestrator.access.keys import ApiKeys, digest_of
from orchestrator.access.sessions import Sessions
from orchestrator.access.throttle import WrongKeys
from orchestrator.api.cookies import COOKIE, cookie_of, key_in_old_cookie
from orchestrator.cluster.connection import Cluster

LONGEST_KEY = 512  # characters; keys of Scriptorium have 47
CONNECTION = "scriptorium.connection"  # of a request's scope: how to tell that its key is known
PRINCIPAL = "scriptorium.principal"  # of a request's scope, once it is known
# A proxy adds one of these. Clients may send them too, which only makes them need a key.
_OF_PROXIES = (
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
    *("x-real-ip", "via", "cf-connecting-ip", "true-client-ip", "x-client-ip"),
)

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


def sessions_of(request: Request) -> Sessions:
    """Return the page's sessions of the request's application."""
    found: Sessions = request.app.state.sessions
    return found


def secret_in(authorization: str, x_api_key: str) -> str | None:
    """Return the API key in the values of these two headers, or None; the first wins."""
    scheme, _, bearer = authorization.partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return x_api_key or None


async def principal_of(request: Request) -> Principal:
    """Return the sender of a request, looked for once. Raises as `authenticate` does."""
    found: Principal | None = request.scope.get(PRINCIPAL)
    if found is None:
        found = request.scope[PRINCIPAL] = await authenticate(request)
        tell = request.scope.get(CONNECTION)
        if tell is not None:
            tell()
    return found


async def authenticate(request: Request) -> Principal:
    """Return the sender of a request, as its key is at this moment.

    An unknown key counts as no key: both are refused if keys exist. If none exist and the server
    may answer without keys, both are anonymous. Raises NotAuthenticated or TooManyWrongKeys.
    """
    headers = request.headers
    secret = secret_in(headers.get("authorization", ""), headers.get("x-api-key", ""))
    cookie = None if secret else cookie_of(request)
    old_key = key_in_old_cookie(cookie) if cookie else None
    with suppress(NotAuthenticated):
        if cookie and old_key is None:
            return await _by_session(request, cookie)
        if secret or old_key:
            return await by_key(request, secret or old_key or "")
    if await _is_key_needed(request):
        if secret:
            count_wrong(request)
        raise NotAuthenticated()
    return Principal(cluster_of(request).settings.tenant, EVERY_SCOPE)


async def by_key(request: Request, secret: str) -> Principal:
    """Return the holder of an API key that came with a request.

    Raises NotAuthenticated, or TooManyWrongKeys if its address has sent many.
    """
    if len(secret) > LONGEST_KEY:
        raise NotAuthenticated()
    if is_refused(request, secret):
        raise TooManyWrongKeys()
    keys, digest = keys_of(request), digest_of(secret)
    if keys.remembers(digest):  # without a thread, which would slow every request down
        found = keys.principal(secret)
    else:
        found = await run_in_threadpool(keys.principal, secret)
    _wrong_keys(request).note_good(_host(request), digest)
    return found


def is_refused(request: Request, secret: str) -> bool:
    """Tell whether a key or secret is not looked at: its address has sent many wrong ones."""
    return _wrong_keys(request).refuses(_host(request), digest_of(secret))


def count_wrong(request: Request) -> None:
    """Count a wrong key or secret of the request's address."""
    _wrong_keys(request).count_wrong(_host(request))


async def log_in(request: Request, secret: str) -> str:
    """Begin a session for the holder of a key; return its token. Raises as `by_key` does."""
    try:
        request.scope[PRINCIPAL] = await by_key(request, secret)
    except NotAuthenticated:
        count_wrong(request)
        raise
    return await run_in_threadpool(sessions_of(request).open, digest_of(secret))


async def _by_session(request: Request, token: str) -> Principal:
    sessions, keys = sessions_of(request), keys_of(request)
    if sessions.remembers(token):
        digest = sessions.key_of(token)
    else:
        digest = await run_in_threadpool(sessions.key_of, token)
    if digest is None:
        raise NotAuthenticated()
    if keys.remembers(digest):
        return keys.principal_of(digest)
    return await run_in_threadpool(keys.principal_of, digest)


async def _is_key_needed(request: Request) -> bool:
    keys = keys_of(request)
    if not request.app.state.serves_without_key:
        return True
    is_open_to_all = cluster_of(request).settings.allow_anonymous
    if not is_open_to_all and any(name in request.headers for name in _OF_PROXIES):
        return True
    return await run_in_threadpool(keys.exist) if keys.is_stale else keys.exist()


def _host(request: Request) -> str:
    return request.client.host if request.client else ""


def _wrong_keys(request: Request) -> WrongKeys:
    found: WrongKeys = request.app.state.wrong_keys
    return found


def having(*scopes: Scope) -> Callable[..., Awaitable[Principal]]:
    """Return a dependency: the sender, who has one of these scopes."""

    async def check(
        request: Request,
        # Declared for the documentation; `secret_of` reads them.
        bearer: Annotated[object, Security(_bearer)],
        header: Annotated[object, Security(_header)],
        cookie: Annotated[object, Security(_cookie)],
    ) -> Principal:
        principal = await principal_of(request)
        if not any(map(principal.may, scopes)):
            names = " or ".join(repr(scope.value) for scope in scopes)
            raise NotAllowed(f"This needs a key with the scope {names}.")
        return principal

    return check


async def _keys(request: Request) -> ApiKeys:
    return keys_of(request)


Keys = Annotated[ApiKeys, Depends(_keys)]
CurrentCluster = Annotated[Cluster, Depends(_cluster)]
Reader = Annotated[Principal, Depends(having(Scope.READ))]
Writer = Annotated[Principal, Depends(having(Scope.WRITE))]
Admin = Annotated[Principal, Depends(having(Scope.ADMIN))]
operating = having(Scope.OPERATE)

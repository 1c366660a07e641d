"""Log-in of the web page: its API key becomes a session, in a cookie that scripts cannot read."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from orchestrator.access import NotAuthenticated, Principal
from orchestrator.api.authentication import log_in, principal_of, sessions_of
from orchestrator.api.cookies import cookie_of, delete_cookies, key_in_old_cookie, set_cookie
from orchestrator.api.replies import SessionReply, error_replies
from orchestrator.api.requests import SessionRequest

router = APIRouter(
    prefix="/v1/session",
    tags=["session"],
    responses=error_replies(400, 401, 403, 413, 422, 429, 500, 503),
)


@router.get("", response_model=None, responses={200: {"model": SessionReply}})
async def show_session(request: Request) -> Response:
    """Show the browser's tenant and scopes, and whether it needs a key. Needs no key itself."""
    try:
        principal: Principal | None = await principal_of(request)
    except NotAuthenticated:
        principal = None
    body = {
        "tenant": principal.tenant if principal else None,
        "scopes": sorted(principal.scopes) if principal else [],
        "anonymous": principal is not None and principal.key_id is None,
        "needs_key": principal is None or principal.key_id is not None,
    }
    reply = JSONResponse(body)
    old_key = key_in_old_cookie(cookie_of(request) or "")
    if old_key is not None and principal is not None and principal.key_id is not None:
        set_cookie(request, reply, await log_in(request, old_key))
    return reply


@router.post("", status_code=204, response_model=None)
async def sign_in(body: SessionRequest, request: Request) -> Response:
    """Check the key, and set a session's token as a cookie until the browser is closed.

    The session ends after twelve hours at the latest, and with the key.
    """
    token = await log_in(request, body.key)
    reply = Response(status_code=204)
    set_cookie(request, reply, token)
    return reply


@router.delete("", status_code=204, response_model=None)
async def sign_out(request: Request) -> Response:
    """End the session and delete the cookie."""
    token = cookie_of(request)
    if token:
        await run_in_threadpool(sessions_of(request).close, token)
    reply = Response(status_code=204)
    delete_cookies(reply)
    return reply

"""Log-in of the web page: its API key becomes a cookie that scripts cannot read."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from orchestrator.access import NotAuthenticated, Principal
from orchestrator.api.authentication import COOKIE, in_cookie, keys_of, principal_of
from orchestrator.api.replies import SessionReply, error_replies
from orchestrator.api.requests import SessionRequest

router = APIRouter(
    prefix="/v1/session", tags=["session"], responses=error_replies(400, 401, 403, 413, 422, 500)
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
    return JSONResponse(body)


@router.post("", status_code=204, response_model=None)
async def sign_in(body: SessionRequest, request: Request) -> Response:
    """Check the key, and set it as a cookie until the browser is closed."""
    await run_in_threadpool(keys_of(request).principal, body.key)
    reply = Response(status_code=204)
    reply.set_cookie(
        COOKIE,
        in_cookie(body.key),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return reply


@router.delete("", status_code=204, response_model=None)
async def sign_out() -> Response:
    """Delete the cookie."""
    reply = Response(status_code=204)
    reply.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return reply

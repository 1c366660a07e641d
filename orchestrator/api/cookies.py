"""The cookie of the web page's session.

Over TLS its name begins with `__Host-`: a browser takes such a cookie only from this very host,
with `Secure` and for all paths, so no other host of the domain can plant one. TLS ends at a proxy,
which the API knows by what the browser says of its page.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode

from fastapi import Request
from starlette.responses import Response

from orchestrator.access.keys import is_formed

COOKIE = "scriptorium_session"
SECURE_COOKIE = f"__Host-{COOKIE}"


def cookie_of(request: Request) -> str | None:
    """Return the cookie's value; over TLS only that of the cookie with the safe name."""
    value = request.cookies.get(SECURE_COOKIE)
    if value or _is_secure(request):
        return value or None
    return request.cookies.get(COOKIE) or None


def set_cookie(request: Request, reply: Response, token: str) -> None:
    """Set the cookie until the browser is closed; `Secure` if the page came over TLS."""
    is_secure = _is_secure(request)
    name = SECURE_COOKIE if is_secure else COOKIE
    reply.set_cookie(name, token, httponly=True, samesite="strict", secure=is_secure)


def delete_cookies(reply: Response) -> None:
    """Delete the cookie under both names."""
    reply.delete_cookie(COOKIE, httponly=True, samesite="strict")
    reply.delete_cookie(SECURE_COOKIE, httponly=True, samesite="strict", secure=True)


def key_in_old_cookie(value: str) -> str | None:
    """Return the API key in a cookie of an earlier release, which held the key itself in base64."""
    try:
        key = urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
    except ValueError:
        return None
    return key if is_formed(key) else None


def _is_secure(request: Request) -> bool:
    """Tell whether the browser's page came over TLS.

    A client may say so without it: then it gets a cookie that it cannot use, or none.
    """
    origin = request.headers.get("origin", "")
    forwarded = request.headers.get("x-forwarded-proto", "")
    return (
        request.url.scheme == "https"
        or origin.startswith("https://")
        or forwarded.split(",")[0].strip().lower() == "https"
    )

"""The web page: the files of `orchestrator/page`, with a policy that allows no other scripts.

The files are read once. A requested name is looked up among theirs and never joined to a
directory, so it cannot lead out of the directory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # cached, but checked each time: a new version shows at once
}
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page, ready to send."""

    body: bytes
    media_type: str
    etag: str


def read_page(directory: Path) -> Mapping[str, PageFile]:
    """Return every file of the page by its path below `directory`, without other types."""
    return {
        path.relative_to(directory).as_posix(): PageFile(
            body := path.read_bytes(),
            MEDIA_TYPES[path.suffix],
            f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        )
        for path in sorted(directory.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }


FILES = read_page(Path(__file__).parents[2] / "page")


@router.api_route("/", methods=["GET", "HEAD"])
def show_page(request: Request) -> Response:
    """Show the page."""
    return _reply(request, "index.html")


@router.api_route("/page/{name:path}", methods=["GET", "HEAD"])
def show_file(name: str, request: Request) -> Response:
    """Return a style or script of the page; else 404."""
    return _reply(request, name)


def _reply(request: Request, name: str) -> Response:
    if name not in FILES:
        raise HTTPException(404, "The page has no such file")
    file = FILES[name]
    headers = HEADERS | {"ETag": file.etag}
    known = request.headers.get("if-none-match", "")
    if file.etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)

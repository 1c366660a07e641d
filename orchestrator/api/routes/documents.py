"""The OpenAPI document, and the page that shows it, without files from other hosts."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse, Response
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from orchestrator.jobs.requests import JobRequest

# A fixed list: a path never comes from the request.
FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon.png": "image/png",
}
# Swagger writes styles into its elements and draws its icons from data URLs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Scriptorium API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
});
"""
_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
DESCRIPTION = (
    "Transcription jobs over HTTP. Every error has one form, "
    "`{error: {message, type, param, code}}`, and every reply an `X-Request-ID`."
)
router = APIRouter(include_in_schema=False)


def install(application: FastAPI) -> None:
    """Add the bodies that routes parse themselves to the application's OpenAPI document."""

    def document() -> dict[str, Any]:
        if application.openapi_schema is None:
            application.openapi_schema = _document(application)
        return application.openapi_schema

    application.openapi = document  # type: ignore[method-assign]


def _document(application: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=application.title,
        version=application.version,
        description=DESCRIPTION,
        routes=application.routes,
    )
    _, schemas = models_json_schema(
        [(JobRequest, "validation")], ref_template="#/components/schemas/{model}"
    )
    known: dict[str, Any] = found["components"]["schemas"]
    for name, schema in schemas["$defs"].items():
        known.setdefault(name, schema)
    one = known["JobRequest"]
    one["oneOf"] = [
        {"required": [name], "properties": {name: {"type": "string"}, other: {"type": "null"}}}
        for name, other in (("source", "upload_id"), ("upload_id", "source"))
    ]
    return found


@router.get("/docs")
def show_documents() -> Response:
    """Show the API's documentation, where requests can be tried."""
    return HTMLResponse(_PAGE, headers=_HEADERS)


@router.get("/docs/start.js")
def show_start() -> Response:
    """Return the script that starts Swagger UI."""
    return Response(_START, media_type="text/javascript", headers=_HEADERS)


@router.get("/docs/{name}")
def show_file(name: str) -> Response:
    """Return a file of Swagger UI; else 404."""
    if name not in FILES:
        raise HTTPException(404, "There is no such file")
    return FileResponse(_swagger() / name, media_type=FILES[name], headers=_HEADERS)


@lru_cache(maxsize=1)
def _swagger() -> Path:
    found = find_spec("fastapi_offline")  # only for its files; its code is not imported
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "static"

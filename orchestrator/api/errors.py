"""Turn errors into replies, all in one envelope: `{"error": {message, type, param, code}}`.

The message says what happened and then what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from gpu_worker.errors import RedisUnavailable, ScriptoriumError, TransientError
from orchestrator.api.paths import LONGEST_SHOWN, not_there

RETRY_AFTER_SECONDS = 5
# Every code that is not 400 (permanent) or 503 (transient).
STATUSES = {
    "not_authenticated": 401,
    "budget_spent": 402,
    "not_allowed": 403,
    "source_not_allowed": 403,
    "address_not_allowed": 403,
    "webhook_not_allowed": 403,
    "foreign_page": 403,
    "foreign_host": 403,
    "unknown_job": 404,
    "unknown_collection": 404,
    "unknown_model": 404,
    "unknown_upload": 404,
    "unknown_key": 404,
    "unknown_pool": 404,
    "unknown_vocabulary": 404,
    "hook_closed": 404,
    "audio_missing": 404,
    "not_finished": 409,
    "idempotency_conflict": 409,
    "illegal_transition": 409,
    "upload_exists": 409,
    "correction_conflict": 409,
    "job_held": 409,
    "audio_out_of_bounds": 413,
    "body_too_large": 413,
    "collection_out_of_bounds": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "too_many_keys": 409,
    "too_many_vocabularies": 409,
    "vocabulary_out_of_bounds": 413,
    "quota_exceeded": 429,
    "too_many_wrong_keys": 429,
    "too_many_streams": 429,
    "store_refused": 500,  # the operator must act, not the client
    "unreadable_record": 500,  # likewise
    "disk_full": 507,
}
_TYPES = {
    401: "authentication_error",
    402: "budget_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 400: "bad_request"}
LONGEST_MESSAGE = 2000  # characters; a message may repeat the client's input
log = structlog.get_logger(__name__)


def install(application: FastAPI) -> None:
    """Make the application answer every error with the envelope."""
    application.add_exception_handler(ScriptoriumError, _known)
    application.add_exception_handler(RedisError, _redis)
    application.add_exception_handler(RequestValidationError, _invalid)
    application.add_exception_handler(HTTPException, _http)


def envelope(
    status: int, message: str, code: str, param: str | None = None, *, retry: bool = False
) -> JSONResponse:
    """Return the reply for one error; with `retry` it has a Retry-After of five seconds."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if retry else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    error = {"message": _sayable(message), "type": kind, "param": param, "code": code}
    if param is not None:
        error["param"] = _sayable(param)
    return JSONResponse({"error": error}, status, headers)


def status_of(error: ScriptoriumError) -> int:
    """Return the HTTP status of a ScriptoriumError."""
    return STATUSES.get(error.code, 503 if isinstance(error, TransientError) else 400)


def reply_to(error: ScriptoriumError, *, options: str = "options.") -> JSONResponse:
    """Return the reply for a ScriptoriumError.

    `options`: where a request has its options; "" if each is a field of its own.
    """
    status = status_of(error)
    of_option = None if error.option is None else options + error.option
    param: str | None = getattr(error, "param", of_option)
    retry = status in (429, 503, 507)
    return envelope(status, f"{error.message} {error.advice}", error.code, param, retry=retry)


def _sayable(text: str) -> str:
    """Cut the text to LONGEST_MESSAGE, and replace lone surrogates, which UTF-8 cannot encode."""
    return text[:LONGEST_MESSAGE].encode("utf-8", "replace").decode()


async def _known(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ScriptoriumError)
    return reply_to(error)


async def _redis(_: Request, error: Exception) -> JSONResponse:
    log.warning("redis_unavailable", reason=str(error))
    return reply_to(RedisUnavailable("Redis cannot be reached now."))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return invalid(error.errors())


def invalid(errors: Sequence[Mapping[str, Any]]) -> JSONResponse:
    """Return the reply for the first of pydantic's errors.

    The first item of an error's `loc` is the part of the request, such as `body`.
    """
    place = errors[0]["loc"][1:]
    if errors[0]["type"] == "json_invalid":
        place = ()  # `loc` has a character offset here, which names no field
    param = ".".join(str(part) for part in place)[:200] or None
    message = f"{param or 'The request'}: {errors[0]['msg'].removeprefix('Value error, ')}."
    return envelope(422, message, "invalid_request", param)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ScriptoriumError):  # raised while FastAPI read the body
        return reply_to(error.__cause__)
    code = _HTTP_CODES.get(error.status_code, f"http_{error.status_code}")
    path, message = request.scope["path"], f"{error.detail.rstrip('.')}."
    allowed = ", ".join(sorted(_methods(request, path))) if error.status_code == 405 else ""
    if allowed:
        message = f"{request.method} is not for {path[:LONGEST_SHOWN]}; use {allowed}."
    elif error.status_code == 404 and error.detail == "Not Found":  # raised by the router
        message = not_there(path, lambda other: bool(_methods(request, other)))
    reply = envelope(error.status_code, message, code)
    reply.headers.update(error.headers or {})
    if allowed:
        reply.headers["Allow"] = allowed
    return reply


def _methods(request: Request, path: str) -> set[str]:
    """Return the methods of every route at this path; the router names only the first route's."""
    found: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        if context.path and compile_path(context.path)[0].match(path):
            found |= context.methods or set()
    return found

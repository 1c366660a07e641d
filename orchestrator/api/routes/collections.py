"""Collections over HTTP: submit many files at once, look at them, cancel, retry, delete."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from orchestrator.access import Principal
from orchestrator.api.authentication import CurrentCluster, Reader, Writer
from orchestrator.api.collection_replies import CollectionLines, CollectionList, CollectionReply
from orchestrator.api.forms import upload_form
from orchestrator.api.middleware.bodies import allow_body
from orchestrator.api.replies import error_replies
from orchestrator.api.requests import IdempotencyKey
from orchestrator.api.submissions import UnsupportedMediaType, form_fields, parse
from orchestrator.cluster.connection import Cluster
from orchestrator.collections import control, deletion
from orchestrator.collections.acceptance import Asked, accept
from orchestrator.collections.lists import checked_lines, read_list
from orchestrator.collections.objects import below
from orchestrator.collections.records import Line, UnknownCollection
from orchestrator.collections.requests import CollectionRequest, RetryRequest
from orchestrator.jobs.requests import FormRequest
from orchestrator.jobs.sources import display_name

MAX_PAGE = 100
_COLLECTION = re.compile(r"[a-z0-9-]{1,64}")
LineStatus = Literal[
    "queued", "processing", "completed", "partial", "failed", "canceled", "refused", "deleted"
]


async def _collection_id(collection: str) -> str:
    if not _COLLECTION.fullmatch(collection):  # it becomes a part of keys
        raise UnknownCollection()
    return collection


CollectionId = Annotated[str, Depends(_collection_id)]
router = APIRouter(
    prefix="/v1/collections",
    tags=["collections"],
    responses=error_replies(400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507),
)
_LOCATION = {"Location": {"description": "Its path.", "schema": {"type": "string"}}}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"model": CollectionReply, "description": "It is accepted.", "headers": _LOCATION}
}
_FORM = FormRequest.model_json_schema(ref_template="#/components/schemas/{model}")
_REQUEST = CollectionRequest.model_json_schema(ref_template="#/components/schemas/{model}")
_SUBMIT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {name: it for name, it in _REQUEST.items() if name != "$defs"}
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "A list of sources: CSV, or JSON lines.",
                        },
                        "name": {"type": "string", "minLength": 1, "maxLength": 255},
                        "options": {"$ref": "#/components/schemas/JobOptions"},
                        "metadata": _FORM["properties"]["metadata"],
                        "webhook_url": {"type": "string", "minLength": 1, "maxLength": 2048},
                        "ready_by": _FORM["properties"]["ready_by"],
                    },
                },
                "encoding": {
                    "options": {"contentType": "application/json"},
                    "metadata": {"contentType": "application/json"},
                },
            },
        },
    }
}


@router.post(
    "",
    status_code=202,
    response_model=None,
    responses=_ACCEPTED | error_replies(415),
    openapi_extra=_SUBMIT_BODY,
)
async def submit_collection(
    request: Request,
    cluster: CurrentCluster,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submit many files. When the reply is 202, each becomes a job or a named refusal."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        allow_body(request, cluster.settings.collection_bytes)
        body = await request.body()
        shown = await run_in_threadpool(_take_json, cluster, caller, body, idempotency_key)
    elif kind == "multipart/form-data":
        async with upload_form(request, cluster.settings.collection_bytes) as form:
            fields, data = form_fields(form), await form.file.read()
        given = (fields, data, form.name, idempotency_key)
        shown = await run_in_threadpool(_take_list, cluster, caller, *given)
    else:
        raise UnsupportedMediaType()
    return JSONResponse(shown, 202, {"Location": f"/v1/collections/{shown['id']}"})


@router.get("", response_model=None, responses={200: {"model": CollectionList}})
def list_collections(
    cluster: CurrentCluster,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Annotated[str | None, Query(max_length=255, description="A next_cursor.")] = None,
) -> Response:
    """List collections, newest first."""
    found, behind = control.newest(cluster, caller.tenant, limit, cursor)
    return JSONResponse({"object": "list", "data": found, "next_cursor": behind})


@router.get("/{collection}", response_model=None, responses={200: {"model": CollectionReply}})
def show_collection(collection: CollectionId, cluster: CurrentCluster, caller: Reader) -> Response:
    """Show a collection with its progress and its counts by state."""
    return JSONResponse(control.show(cluster, caller.tenant, collection))


@router.get("/{collection}/lines", response_model=None, responses={200: {"model": CollectionLines}})
def list_lines(
    collection: CollectionId,
    cluster: CurrentCluster,
    caller: Reader,
    status: Annotated[
        list[LineStatus] | None, Query(max_length=8, description="Lines of these only.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Annotated[int, Query(ge=0, lt=1 << 53, description="A next_cursor.")] = 0,
) -> Response:
    """List lines that became jobs or were refused, by number, each with its job and its error."""
    found, behind = control.lines_of(
        cluster, caller.tenant, collection, status or (), limit, cursor
    )
    return JSONResponse({"object": "list", "data": found, "next_cursor": behind})


@router.post("/{collection}/cancel", status_code=202, response_model=None, responses=_ACCEPTED)
def cancel_collection(
    collection: CollectionId, cluster: CurrentCluster, caller: Writer
) -> Response:
    """Cancel the jobs of a collection that have not ended, and make no more."""
    return JSONResponse(control.cancel(cluster, caller.tenant, collection), 202)


@router.post("/{collection}/retry", status_code=202, response_model=None, responses=_ACCEPTED)
def retry_collection(
    collection: CollectionId,
    cluster: CurrentCluster,
    caller: Writer,
    body: RetryRequest | None = None,
) -> Response:
    """Do the failed lines again, and only those, once all have ended."""
    statuses = (body or RetryRequest()).statuses
    return JSONResponse(control.retry(cluster, caller.tenant, collection, statuses), 202)


@router.delete("/{collection}", status_code=204, response_model=None)
def delete_collection(
    collection: CollectionId, cluster: CurrentCluster, caller: Writer
) -> Response:
    """Delete a collection with its list and all of its jobs."""
    deletion.delete(cluster, caller.tenant, collection)
    return Response(status_code=204)


def _take_json(
    cluster: Cluster, caller: Principal, body: bytes, idempotency_key: str | None
) -> dict[str, Any]:
    asked = parse(CollectionRequest, body)
    options = asked.options.model_dump(mode="json", exclude_unset=True)
    if asked.prefix is not None:
        lines = below(cluster, asked.prefix, asked.suffix, checks=True)
        name, mark = asked.prefix, f"{asked.prefix} {asked.suffix}"
    else:
        lines = checked_lines(asked.lines or [], options)
        name, mark = "list", sha256(body).hexdigest()
    return _accept(cluster, caller, asked.name or name, asked, lines, mark, idempotency_key)


def _take_list(
    cluster: Cluster,
    caller: Principal,
    asked: FormRequest,
    data: bytes,
    file_name: str,
    idempotency_key: str | None,
) -> dict[str, Any]:
    options = asked.options.model_dump(mode="json", exclude_unset=True)
    lines = read_list(data, file_name, options)
    name, mark = asked.name or display_name(file_name), sha256(data).hexdigest()
    return _accept(cluster, caller, name, asked, lines, mark, idempotency_key)


def _accept(
    cluster: Cluster,
    caller: Principal,
    name: str,
    asked: CollectionRequest | FormRequest,
    lines: list[Line],
    mark: str,
    idempotency_key: str | None,
) -> dict[str, Any]:
    common = Asked(
        name=name,
        options=asked.options.model_dump(mode="json", exclude_unset=True),
        metadata=asked.metadata,
        webhook_url=asked.webhook_url,
        ready_by=asked.ready_by,
        idempotency_key=idempotency_key,
        lines_from=mark,
    )
    record = accept(cluster, caller.tenant, common, lines)
    return control.show(cluster, caller.tenant, record.id)

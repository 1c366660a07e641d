"""Uploads over HTTP: send a file first, then submit its job."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from orchestrator.api.authentication import CurrentCluster, Writer
from orchestrator.api.middleware.bodies import allow_body, transfers_of
from orchestrator.api.replies import UploadReply, error_replies
from orchestrator.api.requests import UploadRequest
from orchestrator.jobs.uploads import UnknownUpload, UploadSize, announce, announced, take_upload

PIECE_BYTES = 1 << 20  # collected before a thread writes them to the disk
UploadPath = Annotated[str, Path(max_length=64)]

router = APIRouter(
    prefix="/v1/uploads",
    tags=["uploads"],
    responses=error_replies(400, 401, 403, 404, 409, 413, 422, 500, 503, 507),
)
_LOCATION = {"Location": {"description": "The upload's path.", "schema": {"type": "string"}}}
_ANY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    status_code=201,
    response_model=None,
    responses={201: {"model": UploadReply, "headers": _LOCATION}},
)
def announce_upload(body: UploadRequest, cluster: CurrentCluster, caller: Writer) -> Response:
    """Announce an upload. PUT the file to `url`, then submit its `id`."""
    upload = announce(cluster, caller.tenant, body.name, body.size)
    place = f"/v1/uploads/{upload.id}"
    reply = {
        "id": upload.id,
        "url": upload.url or place,
        "method": "PUT",
        "headers": {},
        "expires_at": upload.expires_at,
    }
    return JSONResponse(reply, 201, {"Location": place})


@router.put("/{upload}", status_code=204, response_model=None, openapi_extra=_ANY)
async def put_upload(
    upload: UploadPath, request: Request, cluster: CurrentCluster, caller: Writer
) -> Response:
    """Take the file of an upload, which must have exactly the announced size."""
    if not (upload.isascii() and upload.isalnum()):
        raise UnknownUpload()
    known = await run_in_threadpool(announced, cluster, caller.tenant, upload)
    allow_body(request, known.size)
    with SpooledTemporaryFile(max_size=PIECE_BYTES) as spooled:
        file = cast(BinaryIO, spooled)
        taken, waiting = 0, bytearray()
        async for piece in request.stream():
            taken += len(piece)
            waiting += piece
            if len(waiting) >= PIECE_BYTES:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(file.write, bytes(waiting))
        if taken != known.size:
            raise UploadSize(f"{taken} bytes came, but {known.size} were announced.")
        async with transfers_of(request):
            await run_in_threadpool(take_upload, cluster, caller.tenant, known, file)
    return Response(status_code=204)

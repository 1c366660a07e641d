"""A job's audio over HTTP for the page's player: WAV, by ranges.

The PCM is an artifact without a header, one for each channel if they are split. The WAV header is
made for its length, and only the requested bytes are read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from gpu_worker.errors import PermanentError
from orchestrator.api.authentication import CurrentCluster, Reader
from orchestrator.api.errors import reply_to
from orchestrator.api.replies import error_replies
from orchestrator.api.requests import JobId
from orchestrator.results.recordings import AudioMissing, open_recording
from tasks.artifacts import ArtifactMissing

PIECE_BYTES = 1 << 20  # the part of one reply that is in memory at a time
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")

router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], responses=error_replies(401, 403, 404, 409, 422, 500, 503)
)


class RangeNotSatisfiable(PermanentError):
    """The range starts after the end of the audio."""

    code = "range_not_satisfiable"
    hint = "Ask for a range inside the file; HEAD gives its size."


_PARTS = {
    "Accept-Ranges": {"schema": {"type": "string"}},
    "Content-Range": {"schema": {"type": "string"}},
}
_WAV: dict[str, Any] = {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}
_AUDIO: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file.", "content": _WAV},
    206: {"description": "The requested range.", "content": _WAV, "headers": _PARTS},
    **error_replies(416),
}


@router.head("/{job}/audio", include_in_schema=False)
@router.get("/{job}/audio", response_model=None, response_class=Response, responses=_AUDIO)
async def play(job: JobId, request: Request, cluster: CurrentCluster, caller: Reader) -> Response:
    """Fetch the decoded audio (16 kHz WAV; split channels stay channels), or a range of it."""
    recording = await run_in_threadpool(open_recording, cluster, caller.tenant, job)
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    span = _span(request, recording.size)
    if span is not None and span[0] >= span[1]:
        reply: Response = reply_to(RangeNotSatisfiable())
        reply.headers["Content-Range"] = f"bytes */{recording.size}"
        return reply
    start, end = span or (0, recording.size)
    headers["Content-Length"] = str(end - start)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{recording.size}"
    status = 206 if span else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type="audio/wav")
    try:  # read before the status is sent, so that missing audio is an error reply
        first = await run_in_threadpool(
            recording.read, cluster.store, start, min(end, start + PIECE_BYTES)
        )
    except ArtifactMissing:
        return reply_to(AudioMissing())

    async def pieces() -> AsyncIterator[bytes]:
        yield first
        for at in range(start + PIECE_BYTES, end, PIECE_BYTES):
            until = min(end, at + PIECE_BYTES)
            yield await run_in_threadpool(recording.read, cluster.store, at, until)

    return StreamingResponse(pieces(), status, headers, media_type="audio/wav")


def _span(request: Request, size: int) -> tuple[int, int] | None:
    """Return the requested range of bytes, None for the whole file.

    The range is empty if it starts after the end. Several ranges at once get the whole file, as
    RFC 9110 allows.
    """
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if found is None or found.group() == "bytes=-" or "if-range" in request.headers:
        return None
    first, last = found.groups()
    if not first:
        return max(size - int(last), 0), size if int(last) else 0
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size

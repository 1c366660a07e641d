"""A job's events as server-sent events; a client can continue a stream that was cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from gpu_worker.errors import ScriptoriumError
from orchestrator.api.authentication import Reader
from orchestrator.api.replies import EVENT, error_replies
from orchestrator.api.requests import JobId
from orchestrator.events import end_id
from orchestrator.events.hub import Hub
from orchestrator.events.watchers import Watcher

PING_SECONDS = 15  # so that proxies keep a quiet stream open
router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], responses=error_replies(400, 401, 403, 404, 422, 503)
)

_EXAMPLE = (
    "id: 1.1700000000000-0\nevent: job\n"
    'data: {"object":"transcription.job","status":"processing","progress":0.5}\n\n'
    "id: 1.1700000000000-0.0\nevent: segments\n"
    'data: {"chunk":0,"segments":[{"start":0.5,"end":1.5,"text":"Hello."}]}\n\n'
)
_STREAM = {
    "description": "`job` events hold the job at that moment, `segments` events a chunk's text in "
    "the order of the file, without speakers, and `end` the job with its final status.",
    "content": {"text/event-stream": {"schema": EVENT, "example": _EXAMPLE}},
}
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=255, description="Events after this one are sent."),
]
LastEventIdQuery = Annotated[
    str | None,
    Query(
        alias="last_event_id",
        max_length=255,
        description="The same, for clients that cannot set the header.",
    ),
]


@router.get(
    "/{job}/events",
    response_class=EventSourceResponse,
    response_model=None,
    responses={
        200: _STREAM,
        204: {"description": "The client has already seen the job's last event."},
    },
)
async def watch_job(
    job: JobId,
    request: Request,
    caller: Reader,
    last_event_id: LastEventId = None,
    last_event_id_query: LastEventIdQuery = None,
) -> Response:
    """Watch a job: send its past events, then new ones until its end.

    The first event is the job as it was queued. With split channels the text comes at the end.
    """
    hub: Hub = request.app.state.hub
    seen = last_event_id or last_event_id_query
    watcher = await hub.open(caller.tenant, job, seen)
    if seen == end_id(watcher.source.run):
        hub.close(watcher)
        return Response(status_code=204)
    return EventStream(hub, watcher)


class EventStream(EventSourceResponse):
    """The reply to one watcher; it closes the watcher at its end, also after an error."""

    def __init__(self, hub: Hub, watcher: Watcher) -> None:
        super().__init__(
            _pieces(watcher),
            ping=PING_SECONDS,
            sep="\n",  # the separator that `event.wire` has too
            headers={"Cache-Control": "no-store"},
        )
        self._hub = hub
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.close(self._watcher)


async def _pieces(watcher: Watcher) -> AsyncIterator[bytes]:
    """Yield each batch as one piece; all watchers of a job share the bytes of an event."""
    with suppress(ScriptoriumError):  # deleted or shutdown; the client's next request gets it
        async for batch in watcher:
            yield b"".join(event.wire for event in batch)

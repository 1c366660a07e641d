"""A job's events as server-sent events; a client can continue a stream that was cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from redis.exceptions import RedisError
from sse_starlette import EventSourceResponse
from starlette import types

from gpu_worker.errors import ScriptoriumError, TransientError
from orchestrator.access import NotAuthenticated, Scope
from orchestrator.api.authentication import Reader, authenticate
from orchestrator.api.replies import EVENT, error_replies
from orchestrator.api.requests import JobId
from orchestrator.events import end_id
from orchestrator.events.hub import Hub
from orchestrator.events.watchers import Watcher

PING_SECONDS = 15  # so that proxies keep a quiet stream open
KEY_SECONDS = 10.0  # between two looks whether the key of an open stream is still good
router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], responses=error_replies(400, 401, 403, 404, 422, 429, 503)
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
    return EventStream(hub, watcher, request)


class EventStream(EventSourceResponse):
    """The reply to one watcher; it closes the watcher at its end, also after an error.

    It ends within KEY_SECONDS after the sender's key or session has ended.
    """

    def __init__(self, hub: Hub, watcher: Watcher, request: Request) -> None:
        super().__init__(
            _pieces(watcher, request),
            ping=PING_SECONDS,
            sep="\n",  # the separator that `event.wire` has too
            headers={"Cache-Control": "no-store"},
        )
        self._hub = hub
        self._watcher = watcher

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.close(self._watcher)


async def _pieces(watcher: Watcher, request: Request) -> AsyncIterator[bytes]:
    """Yield each batch as one piece; all watchers of a job share the bytes of an event."""
    loop = asyncio.get_running_loop()
    check_at = loop.time() + KEY_SECONDS
    with suppress(ScriptoriumError, StopAsyncIteration):
        # Deleted, shutdown or a key that has ended: the client's next request gets it.
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(check_at):
                    batch = await anext(watcher)
                yield b"".join(event.wire for event in batch)
            if loop.time() >= check_at:
                await _check_key(request, watcher.source.tenant)
                check_at = loop.time() + KEY_SECONDS


async def _check_key(request: Request, tenant: str) -> None:
    """Raise NotAuthenticated unless the sender of the request may still read the tenant's jobs."""
    with suppress(TransientError, RedisError):  # it is not known now: ask again later
        now = await authenticate(request)
        if now.tenant != tenant or not now.may(Scope.READ):
            raise NotAuthenticated()

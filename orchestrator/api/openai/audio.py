"""OpenAI's audio routes: the file becomes a job, and the reply is its transcript.

The job is an ordinary one. It goes on if its client disconnects; the reply's
`X-Scriptorium-Job` has its id.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any, BinaryIO

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from gpu_worker.errors import RedisUnavailable, ScriptoriumError, TransientError
from gpu_worker.transcript import Transcript, segments_from_json, transcript_from_json
from orchestrator.access.quotas import quota_of
from orchestrator.api.authentication import CurrentCluster, Writer
from orchestrator.api.errors import reply_to
from orchestrator.api.forms import UploadForm, upload_form
from orchestrator.api.middleware.bodies import transfers_of
from orchestrator.api.openai.contract import AUDIO_RESPONSES, audio_body
from orchestrator.api.openai.failures import failure_of
from orchestrator.api.openai.replies import reply_json, reply_text
from orchestrator.api.openai.requests import AudioRequest, Task, audio_request, with_voices
from orchestrator.api.openai.stream import TextStream
from orchestrator.api.requests import IdempotencyKey
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.events.hub import Hub
from orchestrator.jobs.sources import display_name
from orchestrator.jobs.submission import submit
from orchestrator.jobs.submitter import submit_files
from tasks.runs import keys
from tasks.runs.manifest import Source

JOB_HEADER = "X-Scriptorium-Job"
PING_SECONDS = 15  # so that proxies keep the connection open during a long chunk

router = APIRouter(prefix="/v1/audio", tags=["openai"], responses=AUDIO_RESPONSES)


@router.post("/transcriptions", openapi_extra=audio_body(), response_class=Response)
async def transcribe(
    request: Request,
    cluster: CurrentCluster,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Transcribe a file; reply when the job has ended, or send text as it comes with `stream`."""
    return await _answer(request, cluster, caller.tenant, "transcribe", idempotency_key)


@router.post("/translations", openapi_extra=audio_body(), response_class=Response)
async def translate(
    request: Request,
    cluster: CurrentCluster,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Transcribe a file and translate it into English; the reply is as for transcriptions."""
    return await _answer(request, cluster, caller.tenant, "translate", idempotency_key)


async def _answer(
    request: Request, cluster: Cluster, tenant: str, task: Task, idempotency_key: str | None
) -> Response:
    values = cluster.settings
    async with upload_form(request, quota_of(values, tenant).source_bytes) as form:
        asked = await run_in_threadpool(  # it decodes megabytes of clips
            audio_request, form.fields, model=values.model, allowed=values.allowed, task=task
        )
        async with transfers_of(request):
            given = (cluster, tenant, form, asked, idempotency_key)
            try:
                job = await run_in_threadpool(_submit, *given)
            except ScriptoriumError as error:
                return reply_to(error, options="")
    hub: Hub = request.app.state.hub
    headers = {JOB_HEADER: job.id}
    if asked.stream:
        return EventSourceResponse(
            _events(cluster, hub, job, asked), headers=headers, ping=PING_SECONDS
        )
    await _wait(request, hub, job)
    try:
        reply = await run_in_threadpool(_reply, cluster, job, asked)
    except ScriptoriumError as error:
        reply = reply_to(error)
    reply.headers.update(headers)
    return reply


async def _wait(request: Request, hub: Hub, job: Job) -> None:
    """Wait until the job has ended. Raises ClientDisconnect as soon as the client has gone."""
    ended = asyncio.ensure_future(hub.ended(job.tenant, job.id))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise ClientDisconnect
        await ended
    finally:
        ended.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _submit(
    cluster: Cluster,
    tenant: str,
    form: UploadForm,
    asked: AudioRequest,
    idempotency_key: str | None,
) -> Job:
    """Store the files and submit the job; if it is refused, delete the files."""
    names = [voice.name for voice in asked.voices]

    def send(sources: Sequence[Source]) -> Job:
        clips = [keys.content(source.artifact or "") for source in sources[1:]]
        return submit(
            cluster,
            sources[0],
            with_voices(asked.options, list(zip(names, clips, strict=True))),
            tenant=tenant,
            idempotency_key=idempotency_key,
            quota=quota_of(cluster.settings, tenant),
            way="openai",
        )

    files: list[tuple[BinaryIO, str]] = [(form.file.file, display_name(form.name))]
    files += [(BytesIO(voice.clip), voice.name) for voice in asked.voices]
    return submit_files(cluster, tenant, files, send)


def _outcome(cluster: Cluster, job: Job) -> Transcript | JSONResponse:
    """Return the transcript of a job that has ended, or the error reply."""
    failure = failure_of(cluster.job(job.tenant, job.id))
    if failure is not None:
        return failure
    return transcript_from_json(cluster.result(job.tenant, job.id)["transcript"])


def _reply(cluster: Cluster, job: Job, asked: AudioRequest) -> Response:
    found = _outcome(cluster, job)
    if isinstance(found, Response):
        return found
    if asked.form.is_text:
        return Response(reply_text(found, asked.form), media_type=asked.form.media_type)
    return JSONResponse(
        reply_json(found, asked.form, task=asked.options.task, granularities=asked.granularities)
    )


async def _events(
    cluster: Cluster, hub: Hub, job: Job, asked: AudioRequest
) -> AsyncIterator[ServerSentEvent]:
    stream = TextStream(asked.form)
    try:
        with suppress(TransientError, RedisError):  # `stream.end` sends the text that is missed
            async for event in hub.events(job.tenant, job.id):
                if event.kind == "segments":
                    for data in stream.more(segments_from_json(json.loads(event.data)["segments"])):
                        yield _event(data["type"], data)
        await hub.ended(job.tenant, job.id)
        found = await run_in_threadpool(_outcome, cluster, job)
    except ScriptoriumError as error:
        found = reply_to(error)
    except RedisError:
        found = reply_to(RedisUnavailable("Redis cannot be reached now."))
    if isinstance(found, Response):
        yield _event("error", json.loads(bytes(found.body)))
        return
    for data in stream.end(found):
        yield _event(data["type"], data)


def _event(kind: str, data: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(data), event=kind)

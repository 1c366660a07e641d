"""The client for programs with an event loop: the same methods, to be awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, Self

import httpx
from httpx_sse import EventSource
from tenacity import AsyncRetrying

from scriptorium_client import calls
from scriptorium_client.answers import ApiError, Event, Job, Status
from scriptorium_client.calls import Call, File, Source, StreamPosition
from scriptorium_client.collections_awaited import AwaitedCollections


class AsyncClient(AwaitedCollections):
    """Talks to one API. Tasks of one event loop may share it.

    Any method raises ApiError for what the API refuses, and httpx.TransportError if it cannot
    be reached in `tries` tries. Further options are those of `httpx.AsyncClient`.
    """

    def __init__(
        self, base_url: str, api_key: str | None = None, *, tries: int = 6, **options: Any
    ) -> None:
        self._http = httpx.AsyncClient(**calls.client_options(base_url, api_key, options))
        self._tries = tries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def submit(
        self,
        source: Source,
        *,
        metadata: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        webhook_url: str | None = None,
        ready_by: datetime | str | float | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Job:
        """Submit a file's path, an open file, or an address `s3://…` or `https://…`.

        The job is durable when this returns. `options` are those of a job: model, language, …
        `ready_by`: a time with its zone, or seconds from now; the job may wait until then.
        """
        call = calls.submit_call(
            source, options, metadata, webhook_url, ready_by, idempotency_key, labels
        )
        if calls.is_address(source):
            return await self._job(call)
        with calls.opened(source) as file:
            return await self._job(call, (calls.file_name(source), file))

    async def job(self, job: str) -> Job:
        """Return a job as it is now."""
        return await self._job(calls.job_call(job))

    async def jobs(
        self, status: Status | None = None, *, labels: Mapping[str, str] | None = None
    ) -> AsyncIterator[Job]:
        """Yield all jobs, or those with a status and labels, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = await self._json(calls.page_call(status, cursor, labels))
            for job in page["data"]:
                yield Job.from_json(job)
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def wait(self, job: str, timeout: float | None = None) -> Job:
        """Wait for a job's end, however it ends. Raises TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, longest = calls.POLL_SECONDS
        while True:
            found = await self.job(job)
            if found.final:
                return found
            if deadline is not None and time.monotonic() + pause > deadline:
                raise TimeoutError(f"Job {job} is {found.status} after {timeout} s.")
            await asyncio.sleep(pause)
            pause = min(longest, pause * 1.5)

    async def stream(self, job: str, last_event_id: str | None = None) -> AsyncIterator[Event]:
        """Yield a job's events until its end; after a broken connection go on where it broke.

        `last_event_id` is the id of the last event that was seen; None: from the beginning.
        """
        place = StreamPosition(last_event_id, self._tries)
        while not place.ended:
            try:
                async with aclosing(self._events(job, place)) as events:
                    async for event in events:
                        yield event
            except (ApiError, httpx.TransportError) as error:
                await asyncio.sleep(place.pause(error))

    async def transcript(self, job: str, format: str = "txt", **lines: str) -> str:
        """Return a transcript: txt, srt, vtt, tsv, rttm, textgrid, eaf, audacity or json.

        `lines` are the options of subtitles: max_line_width, …
        """
        return (await self._send(calls.job_call(job, "/transcript", format=format, **lines))).text

    async def transcript_file(self, job: str, format: str, **lines: str) -> bytes:
        """Return a transcript as a file in any format, also docx; see `transcript`."""
        call = calls.job_call(job, "/transcript", format=format, **lines)
        return (await self._send(call)).content

    async def subtitle_report(
        self, job: str, profile: str, frame_rate: float | None = None
    ) -> dict[str, Any]:
        """Return what the subtitles made for a profile violate of it, netflix or bbc."""
        given = {} if frame_rate is None else {"frame_rate": str(frame_rate)}
        call = calls.job_call(job, "/subtitle-report", profile=profile, **given)
        data: dict[str, Any] = await self._json(call)
        return data

    async def result(self, job: str, *, corrected: bool = True) -> dict[str, Any]:
        """Return the transcript with segments, words, times and speakers.

        `corrected=False`: as the models wrote it, so that `segments` are those of `corrections`.
        """
        data: dict[str, Any] = await self._json(calls.result_call(job, corrected))
        return data

    async def corrections(self, job: str) -> dict[str, Any]:
        """Return what people have said of a transcript's lines: `run`, `version` and `lines`."""
        data: dict[str, Any] = await self._json(calls.job_call(job, "/corrections"))
        return data

    async def correct(
        self, job: str, lines: Iterable[Mapping[str, Any]], *, run: int, version: int
    ) -> dict[str, Any]:
        """Change lines, all of them or none; return what `corrections` does.

        A line: `segment`, its place; `start`; `action`: corrected, confirmed, refused or none; and
        `text`. `run` and `version` are those that you have seen. ApiError `correction_conflict` if
        one of these lines was changed since.
        """
        data: dict[str, Any] = await self._json(calls.correct_call(job, run, version, lines))
        return data

    async def cancel(self, job: str) -> Job:
        """End a job without a result."""
        return await self._job(calls.job_call(job, "/cancel", "POST"))

    async def retry(self, job: str) -> Job:
        """Run a failed, partial or canceled job again; finished chunks are kept."""
        return await self._job(calls.job_call(job, "/retry", "POST"))

    async def delete(self, job: str) -> None:
        """Remove a job with its audio and transcript."""
        await self._send(calls.job_call(job, method="DELETE"))

    async def usage(
        self,
        first: str | None = None,
        last: str | None = None,
        *,
        by: Iterable[str] = ("day",),
        tenant: str | None = None,
    ) -> dict[str, Any]:
        """Return what was used from one day to another, by day, tenant or stage.

        Without days it is this month (UTC). A key sees its own tenant, unless it may operate.
        """
        data: dict[str, Any] = await self._json(calls.usage_call(first, last, by, tenant))
        return data

    async def vocabularies(self) -> list[dict[str, Any]]:
        """Return the names and versions of all vocabularies."""
        found: dict[str, Any] = await self._json(calls.vocabulary_call())
        return list(found["data"])

    async def vocabulary(self, name: str, version: int | None = None) -> dict[str, Any]:
        """Return one version of a vocabulary, by default the newest."""
        data: dict[str, Any] = await self._json(calls.vocabulary_call(name, version=version))
        return data

    async def put_vocabulary(self, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write a vocabulary as a new version; its `reference` is for the option `vocabulary`."""
        data: dict[str, Any] = await self._json(calls.vocabulary_call(name, "PUT", body=content))
        return data

    async def delete_vocabulary(self, name: str) -> None:
        """Delete a vocabulary with all its versions; jobs keep the version that they have."""
        await self._send(calls.vocabulary_call(name, "DELETE"))

    async def _job(self, call: Call, file: File | None = None) -> Job:
        return Job.from_json(await self._json(call, file))

    async def _json(self, call: Call, file: File | None = None) -> Any:
        return (await self._send(call, file)).json()

    async def _send(self, call: Call, file: File | None = None) -> httpx.Response:
        async for attempt in AsyncRetrying(**calls.retrying(call, self._tries)):
            with attempt:
                response = await self._http.request(**call.arguments(file))
                if not response.is_success:
                    raise ApiError.of(response)
                return response
        raise AssertionError("tenacity gave up without an error")

    async def _events(self, job: str, place: StreamPosition) -> AsyncGenerator[Event, None]:
        arguments = calls.events_call(job, place.last).arguments()
        async with self._http.stream(**arguments, timeout=calls.STREAM_TIMEOUT) as response:
            if response.status_code == httpx.codes.NO_CONTENT:
                place.ended = True
                return
            if not response.is_success:
                await response.aread()
                raise ApiError.of(response)
            async with aclosing(EventSource(response).aiter_sse()) as events:
                async for told in events:
                    for event in place.take(told):
                        yield event
                    if place.ended:
                        return
        raise httpx.RemoteProtocolError(f"The events of job {job} were cut off.")

"""The client for programs without an event loop: each method waits for its answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Self

import httpx
from httpx_sse import EventSource
from tenacity import Retrying

from scriptorium_client import calls
from scriptorium_client.answers import ApiError, Event, Job, Status
from scriptorium_client.calls import Call, File, Source, StreamPosition
from scriptorium_client.collections_blocking import BlockingCollections


class Client(BlockingCollections):
    """Talks to one API. Threads may share it.

    Any method raises ApiError for what the API refuses, and httpx.TransportError if it cannot
    be reached in `tries` tries. Further options are those of `httpx.Client`.
    """

    def __init__(
        self, base_url: str, api_key: str | None = None, *, tries: int = 6, **options: Any
    ) -> None:
        self._http = httpx.Client(**calls.client_options(base_url, api_key, options))
        self._tries = tries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
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
            return self._job(call)
        with calls.opened(source) as file:
            return self._job(call, (calls.file_name(source), file))

    def job(self, job: str) -> Job:
        """Return a job as it is now."""
        return self._job(calls.job_call(job))

    def jobs(
        self, status: Status | None = None, *, labels: Mapping[str, str] | None = None
    ) -> Iterator[Job]:
        """Yield all jobs, or those with a status and labels, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = self._json(calls.page_call(status, cursor, labels))
            yield from map(Job.from_json, page["data"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def wait(self, job: str, timeout: float | None = None) -> Job:
        """Wait for a job's end, however it ends. Raises TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, longest = calls.POLL_SECONDS
        while True:
            found = self.job(job)
            if found.final:
                return found
            if deadline is not None and time.monotonic() + pause > deadline:
                raise TimeoutError(f"Job {job} is {found.status} after {timeout} s.")
            time.sleep(pause)
            pause = min(longest, pause * 1.5)

    def stream(self, job: str, last_event_id: str | None = None) -> Iterator[Event]:
        """Yield a job's events until its end; after a broken connection go on where it broke.

        `last_event_id` is the id of the last event that was seen; None: from the beginning.
        """
        place = StreamPosition(last_event_id, self._tries)
        while not place.ended:
            try:
                yield from self._events(job, place)
            except (ApiError, httpx.TransportError) as error:
                time.sleep(place.pause(error))

    def transcript(self, job: str, format: str = "txt", **lines: str) -> str:
        """Return a transcript: txt, srt, vtt, tsv, rttm, textgrid, eaf, audacity or json.

        `lines` are the options of subtitles: max_line_width, …
        """
        return self._send(calls.job_call(job, "/transcript", format=format, **lines)).text

    def transcript_file(self, job: str, format: str, **lines: str) -> bytes:
        """Return a transcript as a file in any format, also docx; see `transcript`."""
        call = calls.job_call(job, "/transcript", format=format, **lines)
        return self._send(call).content

    def subtitle_report(
        self, job: str, profile: str, frame_rate: float | None = None
    ) -> dict[str, Any]:
        """Return what the subtitles made for a profile violate of it, netflix or bbc."""
        given = {} if frame_rate is None else {"frame_rate": str(frame_rate)}
        call = calls.job_call(job, "/subtitle-report", profile=profile, **given)
        data: dict[str, Any] = self._json(call)
        return data

    def result(self, job: str, *, corrected: bool = True) -> dict[str, Any]:
        """Return the transcript with segments, words, times and speakers.

        `corrected=False`: as the models wrote it, so that `segments` are those of `corrections`.
        """
        data: dict[str, Any] = self._json(calls.result_call(job, corrected))
        return data

    def corrections(self, job: str) -> dict[str, Any]:
        """Return what people have said of a transcript's lines: `run`, `version` and `lines`."""
        data: dict[str, Any] = self._json(calls.job_call(job, "/corrections"))
        return data

    def correct(
        self, job: str, lines: Iterable[Mapping[str, Any]], *, run: int, version: int
    ) -> dict[str, Any]:
        """Change lines, all of them or none; return what `corrections` does.

        A line: `segment`, its place; `start`; `action`: corrected, confirmed, refused or none; and
        `text`. `run` and `version` are those that you have seen. ApiError `correction_conflict` if
        one of these lines was changed since.
        """
        data: dict[str, Any] = self._json(calls.correct_call(job, run, version, lines))
        return data

    def cancel(self, job: str) -> Job:
        """End a job without a result."""
        return self._job(calls.job_call(job, "/cancel", "POST"))

    def retry(self, job: str) -> Job:
        """Run a failed, partial or canceled job again; finished chunks are kept."""
        return self._job(calls.job_call(job, "/retry", "POST"))

    def delete(self, job: str) -> None:
        """Remove a job with its audio and transcript."""
        self._send(calls.job_call(job, method="DELETE"))

    def usage(
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
        data: dict[str, Any] = self._json(calls.usage_call(first, last, by, tenant))
        return data

    def vocabularies(self) -> list[dict[str, Any]]:
        """Return the names and versions of all vocabularies."""
        found: dict[str, Any] = self._json(calls.vocabulary_call())
        return list(found["data"])

    def vocabulary(self, name: str, version: int | None = None) -> dict[str, Any]:
        """Return one version of a vocabulary, by default the newest."""
        data: dict[str, Any] = self._json(calls.vocabulary_call(name, version=version))
        return data

    def put_vocabulary(self, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write a vocabulary as a new version; its `reference` is for the option `vocabulary`."""
        data: dict[str, Any] = self._json(calls.vocabulary_call(name, "PUT", body=content))
        return data

    def delete_vocabulary(self, name: str) -> None:
        """Delete a vocabulary with all its versions; jobs keep the version that they have."""
        self._send(calls.vocabulary_call(name, "DELETE"))

    def _job(self, call: Call, file: File | None = None) -> Job:
        return Job.from_json(self._json(call, file))

    def _json(self, call: Call, file: File | None = None) -> Any:
        return self._send(call, file).json()

    def _send(self, call: Call, file: File | None = None) -> httpx.Response:
        for attempt in Retrying(**calls.retrying(call, self._tries)):
            with attempt:
                response = self._http.request(**call.arguments(file))
                if not response.is_success:
                    raise ApiError.of(response)
                return response
        raise AssertionError("tenacity gave up without an error")

    def _events(self, job: str, place: StreamPosition) -> Iterator[Event]:
        arguments = calls.events_call(job, place.last).arguments()
        with self._http.stream(**arguments, timeout=calls.STREAM_TIMEOUT) as response:
            if response.status_code == httpx.codes.NO_CONTENT:
                place.ended = True
                return
            if not response.is_success:
                response.read()
                raise ApiError.of(response)
            for told in EventSource(response).iter_sse():
                yield from place.take(told)
                if place.ended:
                    return
        raise httpx.RemoteProtocolError(f"The events of job {job} were cut off.")

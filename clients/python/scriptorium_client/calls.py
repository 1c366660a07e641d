"""The requests that both clients send, and when they are sent again. Pure.

A submission carries an idempotency key, so sending it twice is harmless. A request that would do
harm twice is sent again only if it certainly did not reach the server.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote
from uuid import uuid4

import httpx
from httpx_sse import ServerSentEvent
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt

from scriptorium_client.answers import ApiError, Event

Source = str | os.PathLike[str] | BinaryIO
File = tuple[str, BinaryIO]  # the file's name for people, and the open file

LONGEST_DELAY_SECONDS = 30.0
PAGE = 100  # jobs
POLL_SECONDS = (0.2, 5.0)  # between looks at a job: at first, at most
STREAM_TIMEOUT = httpx.Timeout(30.0, read=60.0)  # the server says something every 15 s
_BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, without the file that it may send."""

    method: str
    path: str
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None  # sent as JSON
    form: Mapping[str, str] | None = None  # sent with a file
    repeatable: bool = True  # sending it twice does the same as sending it once

    def arguments(self, file: File | None = None) -> dict[str, Any]:
        """Return the arguments of httpx's `request`; `file` is the file to send."""
        given: dict[str, Any] = {
            "method": self.method,
            "url": self.path,
            "params": dict(self.params),
            "headers": dict(self.headers),
        }
        if self.body is not None:
            given["json"] = dict(self.body)
        if file is not None:
            given["files"] = {"file": (*file, "application/octet-stream")}
            given["data"] = dict(self.form or {})
        return given


def client_options(base_url: str, api_key: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of httpx's clients; `options` replace the defaults."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return {"base_url": base_url, "headers": headers, "timeout": 30.0} | options


def is_address(source: Source) -> bool:
    """Return whether a source is an address that the server fetches; else it is a local file."""
    return isinstance(source, str) and "://" in source


def file_name(source: Source) -> str:
    """Return the name of a file that people see; the server stores it under a name of its own."""
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "")
    return (Path(name).name if isinstance(name, str | os.PathLike) else "") or "audio"


def opened(source: Source) -> AbstractContextManager[BinaryIO]:
    """Open the file to send; a file that the caller opened stays open. Raises OSError."""
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb")
    return nullcontext(source)


def submit_call(
    source: Source,
    options: Mapping[str, Any],
    metadata: Mapping[str, str] | None,
    webhook_url: str | None,
    ready_by: datetime | str | float | None,
    idempotency_key: str | None,
    labels: Mapping[str, str] | None = None,
) -> Call:
    """Make the request that submits a job.

    If `idempotency_key` is None it gets a random one, so that a repetition makes no second job.
    An empty key is sent as it is, and the server refuses it.
    """
    fields: dict[str, Any] = {"options": dict(options), "metadata": dict(metadata or {})}
    if labels:
        fields["labels"] = dict(labels)
    if webhook_url is not None:
        fields["webhook_url"] = webhook_url
    if ready_by is not None:
        fields["ready_by"] = written(ready_by)
    key = uuid4().hex if idempotency_key is None else idempotency_key
    headers = {"Idempotency-Key": key}
    if is_address(source):
        return Call("POST", "/v1/jobs", headers=headers, body={"source": source, **fields})
    form = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in fields.items()
    }
    return Call("POST", "/v1/jobs", headers=headers, form=form)


def written(ready_by: datetime | str | float) -> str | float:
    """Return a `ready_by` as it is sent."""
    return ready_by.isoformat() if isinstance(ready_by, datetime) else ready_by


def job_call(job: str, what: str = "", method: str = "GET", **params: str) -> Call:
    """Make a request about one job; `what` is the part of the path behind its id."""
    path = f"/v1/jobs/{quote(job, safe='')}{what}"
    return Call(method, path, params=params, repeatable=method != "POST")


def result_call(job: str, corrected: bool) -> Call:
    """Make the request for a transcript as JSON."""
    params = {} if corrected else {"corrections": "off"}
    return job_call(job, "/transcript", format="json", **params)


def correct_call(job: str, run: int, version: int, lines: Iterable[Mapping[str, Any]]) -> Call:
    """Make the request that changes lines; sending it twice changes them once."""
    body = {"run": run, "version": version, "lines": [dict(line) for line in lines]}
    return Call("PUT", f"/v1/jobs/{quote(job, safe='')}/corrections", body=body)


def page_call(
    status: str | None, cursor: str | None, labels: Mapping[str, str] | None = None
) -> Call:
    """Make the request for one page of the jobs."""
    wanted = [f"{key}:{value}" for key, value in (labels or {}).items()] or None
    params = {"limit": str(PAGE), "status": status, "cursor": cursor, "label": wanted}
    return Call("GET", "/v1/jobs", {name: it for name, it in params.items() if it is not None})


def usage_call(first: str | None, last: str | None, by: Iterable[str], tenant: str | None) -> Call:
    """Make the request for what was used; days are such as 2026-11-29."""
    params = {"from": first, "to": last, "by": list(by), "tenant": tenant}
    return Call("GET", "/v1/usage", {name: it for name, it in params.items() if it})


def vocabulary_call(
    name: str | None = None,
    method: str = "GET",
    version: int | None = None,
    body: Mapping[str, Any] | None = None,
) -> Call:
    """Make a request about one vocabulary, or without a name about all."""
    params = {} if version is None else {"version": str(version)}
    path = "/v1/vocabularies" if name is None else f"/v1/vocabularies/{quote(name, safe='')}"
    return Call(method, path, params, body=body)


def events_call(job: str, last: str | None) -> Call:
    """Make the request for a job's events after `last`, the id of the last event that was seen."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    return Call("GET", f"/v1/jobs/{quote(job, safe='')}/events", headers=headers)


def may_repeat(error: BaseException, repeatable: bool) -> bool:
    """Return whether sending a request again may help and does no harm."""
    if isinstance(error, ApiError):
        return error.status in _BUSY  # refused, so nothing was done
    unsent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
    return isinstance(error, httpx.TransportError if repeatable else unsent)


def delay(error: BaseException | None, tries: int) -> float:
    """Return the seconds until the next try: what the server asks for, else doubling from 0.2 s.

    At most 30 s, plus a random part of up to a quarter, so that clients do not all come back at
    the same time.
    """
    asked = error.retry_after if isinstance(error, ApiError) else None
    nominal = asked if asked is not None else 0.2 * 2.0**tries
    return min(LONGEST_DELAY_SECONDS, nominal) * (1.0 + random.random() / 4)


def retrying(call: Call, tries: int) -> dict[str, Any]:
    """Return the arguments of tenacity's `Retrying` and `AsyncRetrying`."""
    return {
        "retry": retry_if_exception(lambda error: may_repeat(error, call.repeatable)),
        "wait": _wait,
        "stop": stop_after_attempt(tries),
        "reraise": True,
    }


class StreamPosition:
    """The position in a stream of events, and whether to open the stream again after a fault."""

    def __init__(self, last: str | None, tries: int) -> None:
        self.last = last  # id of the last event
        self.ended = False
        self._tries = tries
        self._failures = 0  # since the last event

    def take(self, told: ServerSentEvent) -> Iterator[Event]:
        """Yield the event, if it has data, and remember its id."""
        if told.data:  # else only a new pause between tries, or the end of a comment
            event = Event.of(told)
            self.last, self._failures = event.id or self.last, 0
            self.ended = event.name == "end"
            yield event

    def pause(self, error: Exception) -> float:
        """Return the seconds until the stream may be opened again. Raises `error` if it may not."""
        self._failures += 1
        if self._failures >= self._tries or not may_repeat(error, repeatable=True):
            raise error
        return delay(error, self._failures)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return delay(error, state.attempt_number - 1)

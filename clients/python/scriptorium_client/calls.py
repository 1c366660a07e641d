"""The requests that both clients send, and when they are sent again. Pure.

A submission carries an idempotency key, so sending it twice is harmless. What is not harmless
is sent again only if it surely did not arrive.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote
from uuid import uuid4

import httpx
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt

from scriptorium_client.answers import ApiError, Event

Source = str | os.PathLike[str] | BinaryIO
File = tuple[str, BinaryIO]  # its name for people, and what is read

LONGEST_DELAY_SECONDS = 30.0
PAGE = 100  # jobs
POLL_SECONDS = (0.2, 5.0)  # between looks at a job: at first, at most
STREAM_TIMEOUT = httpx.Timeout(30.0, read=60.0)  # the server says something every 15 s
_BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, but for its file."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None  # sent as JSON
    form: Mapping[str, str] | None = None  # sent with a file
    repeatable: bool = True  # twice is as good as once

    def arguments(self, file: File | None = None) -> dict[str, Any]:
        """For httpx's `request`."""
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
    """For httpx's clients."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return {"base_url": base_url, "headers": headers, "timeout": 30.0} | options


def is_address(source: Source) -> bool:
    """Whether the server is to fetch it; else it is a file of ours."""
    return isinstance(source, str) and "://" in source


def file_name(source: Source) -> str:
    """What people see of a file; the server takes its own names."""
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "")
    return (Path(name).name if isinstance(name, str | os.PathLike) else "") or "audio"


def opened(source: Source) -> AbstractContextManager[BinaryIO]:
    """The file to be sent; one that the caller opened is left open."""
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb")
    return nullcontext(source)


def submit_call(
    source: Source,
    options: Mapping[str, Any],
    metadata: Mapping[str, str] | None,
    webhook_url: str | None,
    idempotency_key: str | None,
) -> Call:
    """A submission; without a key it gets a random one, for its own repetitions.

    An empty key is sent as it is, for the server to refuse.
    """
    fields: dict[str, Any] = {"options": dict(options), "metadata": dict(metadata or {})}
    if webhook_url is not None:
        fields["webhook_url"] = webhook_url
    key = uuid4().hex if idempotency_key is None else idempotency_key
    headers = {"Idempotency-Key": key}
    if is_address(source):
        return Call("POST", "/v1/jobs", headers=headers, body={"source": source, **fields})
    form = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in fields.items()
    }
    return Call("POST", "/v1/jobs", headers=headers, form=form)


def job_call(job: str, what: str = "", method: str = "GET", **params: str) -> Call:
    """Something about one job."""
    path = f"/v1/jobs/{quote(job, safe='')}{what}"
    return Call(method, path, params=params, repeatable=method != "POST")


def page_call(status: str | None, cursor: str | None) -> Call:
    """One page of the jobs."""
    params = {"limit": str(PAGE), "status": status, "cursor": cursor}
    return Call("GET", "/v1/jobs", {name: it for name, it in params.items() if it is not None})


def events_call(job: str, last: str | None) -> Call:
    """A job's events, from behind the last one that was seen."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    return Call("GET", f"/v1/jobs/{quote(job, safe='')}/events", headers=headers)


def may_repeat(error: BaseException, repeatable: bool) -> bool:
    """Whether sending it again may help and does no harm."""
    if isinstance(error, ApiError):
        return error.status in _BUSY  # refused, so nothing was done
    unsent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
    return isinstance(error, httpx.TransportError if repeatable else unsent)


def delay(error: BaseException | None, tries: int) -> float:
    """Seconds until the next try: what the server asks for, else doubling; never all at once."""
    asked = error.retry_after if isinstance(error, ApiError) else None
    nominal = asked if asked is not None else 0.2 * 2.0**tries
    return min(LONGEST_DELAY_SECONDS, nominal) * (1.0 + random.random() / 4)


def retrying(call: Call, tries: int) -> dict[str, Any]:
    """For tenacity's loops."""
    return {
        "retry": retry_if_exception(lambda error: may_repeat(error, call.repeatable)),
        "wait": _wait,
        "stop": stop_after_attempt(tries),
        "reraise": True,
    }


class Place:
    """How far a stream of events has come, and whether a broken one is worth another try."""

    def __init__(self, last: str | None, tries: int) -> None:
        self.last = last  # id of the last event
        self.ended = False
        self._tries = tries
        self._failures = 0  # since the last event

    def take(self, events: list[Event]) -> Iterator[Event]:
        """The events, remembered as they are handed on."""
        for event in events:
            self.last, self._failures = event.id or self.last, 0
            self.ended = event.name == "end"
            yield event

    def pause(self, error: Exception) -> float:
        """Seconds until the stream may be taken up again. Raises the error if it may not."""
        self._failures += 1
        if self._failures >= self._tries or not may_repeat(error, repeatable=True):
            raise error
        return delay(error, self._failures)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return delay(error, state.attempt_number - 1)

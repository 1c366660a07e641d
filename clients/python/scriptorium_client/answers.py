"""The API's answers, as frozen records; fields that a newer server adds are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import httpx
from httpx_sse import ServerSentEvent

Status = Literal["queued", "processing", "completed", "partial", "failed", "canceled"]
_OPEN = ("queued", "processing")


class ApiError(Exception):
    """The API refused a request; the message says why and what to do."""

    def __init__(
        self,
        status: int,  # of HTTP
        code: str,
        message: str,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,  # seconds
    ) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after

    @classmethod
    def of(cls, response: httpx.Response) -> ApiError:
        """Make the error from a reply whose body was read."""
        try:
            told = response.json()["error"]
            code, message, param = str(told["code"]), str(told["message"]), told.get("param")
        except (ValueError, KeyError, TypeError, AttributeError):  # a proxy's own page
            code, message, param = f"http_{response.status_code}", response.text[:200], None
        delay = response.headers.get("Retry-After", "")
        return cls(
            response.status_code,
            code,
            message,
            param,
            response.headers.get("X-Request-ID"),
            float(delay) if delay.isdigit() else None,
        )


@dataclass(frozen=True, slots=True)
class Chunks:
    """Counts of a job's chunks."""

    total: int = 0
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A job at one moment."""

    id: str
    tenant: str
    run: int  # 1, and one more for each retry
    name: str  # of the file, for people
    model: str
    status: Status
    stage: str | None  # None once it has ended
    progress: float  # 0..1, by audio seconds
    chunks: Chunks
    created_at: float  # seconds since 1970
    ready_by: float | None = None  # seconds since 1970
    audio_seconds: float | None = None
    eta_seconds: float | None = None
    language: str | None = None  # what is spoken
    task: str = "transcribe"  # or translate: the text is English
    warnings: tuple[Mapping[str, Any], ...] = ()
    error: Mapping[str, Any] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self.status not in _OPEN

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Job:
        """Make a job from a reply's body. Raises KeyError or TypeError if a field is missing."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        known["chunks"] = Chunks(**{name: data["chunks"][name] for name in _CHUNK_FIELDS})
        known["warnings"] = tuple(known.get("warnings", ()))
        return cls(**known)


_CHUNK_FIELDS = tuple(field.name for field in fields(Chunks))


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a job; `name` is `job`, `segments` or, for the last one, `end`."""

    id: str
    name: str
    data: Mapping[str, Any]

    @classmethod
    def of(cls, told: ServerSentEvent) -> Event:
        """Make an event from one of the stream's. Raises ValueError if its data is not JSON."""
        return cls(told.id, told.event, told.json())

    @property
    def job(self) -> Job | None:
        """The job at that moment, in a `job` or `end` event."""
        return Job.from_json(self.data) if self.name in ("job", "end") else None

    @property
    def segments(self) -> tuple[Mapping[str, Any], ...]:
        """The segments of the next chunk, in a `segments` event."""
        return tuple(self.data.get("segments", ())) if self.name == "segments" else ()

"""The records of a collection: how it was accepted, its lines, and what became of them. Frozen."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from gpu_worker.errors import PermanentError, TransientError
from tasks.runs.json_artifacts import parsed_record
from tasks.runs.option_values import Record
from tasks.runs.options import JobOptions

ROUND_STATUSES = ("failed", "partial", "canceled")  # that a retry may name
RetryStatus = Literal["failed", "partial", "canceled"]


class UnknownCollection(PermanentError):
    """There is no collection with that id."""

    code = "unknown_collection"
    hint = "`scriptorium collections list` shows the collections."


class CollectionOutOfBounds(PermanentError):
    """A collection has no lines, or more than are accepted."""

    code = "collection_out_of_bounds"
    hint = "Divide it into several, or ask for a larger SCRIPTORIUM_COLLECTION_LINES."


class UnreadableLine(PermanentError):
    """A line of a list cannot be read."""

    code = "unreadable_line"
    hint = "Correct the line, and submit it in a new collection."


class NoRoom(TransientError):
    """The tenant's quota or the cluster is full: the line's turn comes later."""

    code = "quota_exceeded"


class Collection(Record):
    """A collection as it was accepted; the options are for lines that do not name their own."""

    version: int = 1
    tenant: str
    id: str
    created_at: float  # seconds since 1970
    name: str
    lines: int
    options: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    webhook_url: str | None = None
    ready_by: float | None = None  # of lines without their own; seconds since 1970
    idempotency_key: str | None = None
    asked: str = ""  # a digest of the request, to tell a repetition from another request
    is_operators: bool = False  # from the command line: its sources need no permission
    notes_deletions: bool = False  # of its jobs; earlier releases did not
    # It was never accepted: what is left of an earlier try is being removed, in this place.
    is_dropped: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what is to become a job, or why it cannot."""

    number: int  # from 1, as in the list that was sent
    source: str | None = None  # an address
    upload_id: str | None = None
    artifact: str | None = None  # the key of a file that the command line has stored
    name: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ready_by: float | None = None  # seconds since 1970
    error: dict[str, Any] | None = None

    @property
    def shown(self) -> str:
        """The text by which people know the line."""
        return self.name or self.source or self.upload_id or ""

    def job_options(self, common: dict[str, Any]) -> JobOptions:
        """Return the options of the line's job. Raises pydantic.ValidationError."""
        return JobOptions.model_validate(common | self.options)

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are set."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}

    def asked(self) -> dict[str, Any]:
        """Return what tells a line from another; "in 2 h" is another time at each repetition."""
        return {name: value for name, value in self.to_json().items() if name != "ready_by"}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Line:
        """Read what `to_json` gives; ignore unknown fields."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a line: a job, an error that refuses it, or nothing: it was canceled."""

    number: int  # of the line
    job: str | None = None
    error: dict[str, Any] | None = None
    shown: str = ""  # of a line without a job

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are set."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """Read what `to_json` gives; ignore unknown fields."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


def write_lines(lines: Iterable[Line]) -> bytes:
    """Encode lines, each as a line of JSON."""
    texts = (json.dumps(line.to_json(), ensure_ascii=False) for line in lines)
    return "\n".join(texts).encode("utf-8", "replace")


def read_lines(key: str, data: bytes) -> list[Line]:
    """Read what `write_lines` gives. Raises UnreadableRecord, which names the artifact's key."""
    return [parsed_record(key, text, Line.from_json) for text in data.split(b"\n") if text]


def read_outcomes(data: Any) -> list[Outcome]:
    """Read a piece. Raises TypeError or LookupError for what is none."""
    return [Outcome.from_json(it) for it in data["lines"]]


def json_retry(data: Any) -> dict[str, Any]:
    """Return what a retry has written. Raises ValueError, TypeError or LookupError."""
    return {**data, "began_at": float(data["began_at"]), "lines": list(data["lines"])}


def json_end(data: Any) -> dict[str, Any]:
    """Return how a round has ended. Raises ValueError, TypeError or LookupError."""
    return {**data, "ended_at": float(data["ended_at"]), "states": dict(data["states"])}

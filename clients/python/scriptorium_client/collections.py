"""Collections: many files under one id. Their answers, as frozen records, and their requests."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, BinaryIO
from urllib.parse import quote
from uuid import uuid4

from scriptorium_client.answers import Status
from scriptorium_client.calls import Call, is_address, submit_call, written

Lines = Sequence[str | Mapping[str, Any]]  # addresses, or the fields of a job
ListFile = str | os.PathLike[str] | BinaryIO  # CSV, or JSON lines
PAGE = 100  # collections, or lines


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection at one moment."""

    id: str
    tenant: str
    name: str
    round: int  # 1, and one more for each retry
    status: Status
    progress: float  # 0..1, the share of the lines that have ended
    counts: Mapping[str, int]  # of lines: total, waiting, queued, …, completed, failed, refused
    created_at: float  # seconds since 1970
    ready_by: float | None = None  # of the lines without their own; seconds since 1970
    eta_seconds: float | None = None
    ended_at: float | None = None  # None while the round goes on
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Whether all lines have ended."""
        return self.ended_at is not None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Collection:
        """Make it from a reply's body; raises TypeError if a field is missing."""
        return cls(**{it.name: data[it.name] for it in fields(cls) if it.name in data})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a collection that became a job or was refused."""

    line: int  # its number, from 1
    name: str
    status: str  # a job's, or refused, or deleted
    job: str | None = None  # its id
    error: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Line:
        """Make it from a part of a reply; raises TypeError if a field is missing."""
        return cls(**{it.name: data[it.name] for it in fields(cls) if it.name in data})


def is_list_file(source: ListFile | Lines) -> bool:
    """Return whether it is a file that holds the list, and not a prefix or lines."""
    return not (is_address(source) if isinstance(source, str) else isinstance(source, Sequence))


def submit_collection_call(
    source: ListFile | Lines,
    options: Mapping[str, Any],
    given: Mapping[str, Any],
    idempotency_key: str | None,
) -> Call:
    """Make the request that submits a collection.

    `given`: name, suffix, metadata, webhook_url, ready_by. What is None of these is left out.
    Without a key of the caller it gets a random one.
    """
    fields_of = {name: it for name, it in given.items() if it is not None}
    if "ready_by" in fields_of:
        fields_of["ready_by"] = written(fields_of["ready_by"])
    if is_list_file(source):
        call = submit_call(
            "", options, fields_of.pop("metadata", None), None, None, idempotency_key
        )
        texts = {name: it if isinstance(it, str) else str(it) for name, it in fields_of.items()}
        form = {**(call.form or {}), **texts}  # a list has no suffix: the server refuses one
        return Call("POST", _PATH, headers=call.headers, form=form)
    where: dict[str, Any] = {"lines": list(source) if isinstance(source, Sequence) else []}
    if isinstance(source, str):
        where = {"prefix": source}
    key = uuid4().hex if idempotency_key is None else idempotency_key
    body = {**where, **fields_of, "options": dict(options)}
    return Call("POST", _PATH, headers={"Idempotency-Key": key}, body=body)


def collection_call(
    collection: str, what: str = "", method: str = "GET", body: Mapping[str, Any] | None = None
) -> Call:
    """Make a request about one collection; `what` is the part of the path behind its id."""
    path = f"{_PATH}/{quote(collection, safe='')}{what}"
    return Call(method, path, body=body, repeatable=method != "POST")


def collections_call(cursor: str | None) -> Call:
    """Make the request for one page of the collections."""
    params = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
    return Call("GET", _PATH, params)


def lines_call(collection: str, statuses: Sequence[str], cursor: int) -> Call:
    """Make the request for one page of a collection's lines."""
    params = {"limit": str(PAGE), "cursor": str(cursor), "status": list(statuses)}
    return Call("GET", collection_call(collection, "/lines").path, params)


_PATH = "/v1/collections"

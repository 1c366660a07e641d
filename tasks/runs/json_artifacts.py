"""Artifacts that are JSON: read, or an error that says which one cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from gpu_worker.errors import TransientError
from tasks.artifacts import ArtifactStore

T = TypeVar("T")


class UnreadableRecord(TransientError):
    """A record in the store cannot be read by this release."""

    code = "unreadable_record"
    hint = (
        "If a newer release wrote it, finish the upgrade. Else it is broken: restore it from a "
        "backup, or delete what it belongs to (the job, the collection, the vocabulary) and "
        "make that anew."
    )


def read_record(store: ArtifactStore, key: str, parse: Callable[[Any], T]) -> T:
    """Return what `parse` makes of the JSON of an artifact.

    Raises ArtifactMissing, or UnreadableRecord if it is no such record.
    """
    return parsed_record(key, store.get(key), parse)


def parsed_record(key: str, data: bytes, parse: Callable[[Any], T]) -> T:
    """Return what `parse` makes of the JSON. Raises UnreadableRecord if it is no such record."""
    try:
        return parse(json.loads(data))
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise UnreadableRecord(f"{key} cannot be read: {_short(error)}.") from error


def json_object(data: Any) -> dict[str, Any]:
    """Return the data if it is a JSON object. Raises TypeError."""
    if not isinstance(data, dict):
        raise TypeError("it is no JSON object")
    return data


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):  # its text has a line for each fault, and an address
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]

"""Parse notifications of buckets: find the objects that were created.

A message is S3's own, or one wrapped by SNS, or EventBridge's, or one of a store that uses
S3's format, such as MinIO. Whether the objects still exist is not checked here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from gpu_worker.errors import PermanentError

CREATED = "ObjectCreated:"
MOST_WRAPPINGS = 3  # EventBridge to SNS to SQS makes two


class MalformedEvent(PermanentError):
    """The message is not an S3 event."""

    code = "malformed_event"
    hint = "Let only a bucket's notifications, or SNS or EventBridge with them, write here."


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """An object that was created."""

    bucket: str
    key: str  # decoded: as it is in the bucket
    version: str | None = None
    etag: str | None = None
    sequencer: str | None = None  # grows with every change of one key


def created_objects(body: str | bytes) -> tuple[ObjectEvent, ...]:
    """Return the created objects that a message names; none for S3's test and for other events.

    Raises MalformedEvent.
    """
    return tuple(_objects(_parsed(body), MOST_WRAPPINGS))


def _objects(message: dict[str, Any], wrappings: int) -> Iterator[ObjectEvent]:
    if message.get("Event") == "s3:TestEvent":  # sent when notifications are set up
        return
    if message.get("Type") == "Notification" and wrappings:
        yield from _objects(_parsed(_text(message, "Message")), wrappings - 1)
    elif "detail-type" in message:
        if message["detail-type"] == "Object Created":
            yield _from_event_bridge(_part(message, "detail"))
    elif isinstance(message.get("Records"), list):
        for record in message["Records"]:
            if not isinstance(record, dict):
                raise MalformedEvent("A record of the message is not an object.")
            if _text(record, "eventName").removeprefix("s3:").startswith(CREATED):
                yield _from_record(_part(record, "s3"))
    else:
        raise MalformedEvent("The message has no records and is no event of EventBridge.")


def _from_record(data: dict[str, Any]) -> ObjectEvent:
    item = _part(data, "object")
    try:  # encoded as in an HTML form: a plus is a space
        key = unquote_plus(_text(item, "key"), errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedEvent("The object's key is not UTF-8.") from error
    return _event(data, key, item.get("versionId"), item)


def _from_event_bridge(data: dict[str, Any]) -> ObjectEvent:
    item = _part(data, "object")
    return _event(data, _text(item, "key"), item.get("version-id"), item)  # not encoded here


def _event(data: dict[str, Any], key: str, version: object, item: dict[str, Any]) -> ObjectEvent:
    return ObjectEvent(
        bucket=_text(_part(data, "bucket"), "name"),
        key=key,
        version=_word(version),
        etag=_word(item.get("etag", item.get("eTag"))),
        sequencer=_word(item.get("sequencer")),
    )


def _parsed(body: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedEvent("The message is not JSON.") from error
    if not isinstance(message, dict):
        raise MalformedEvent("The message is not a JSON object.")
    return message


def _part(data: dict[str, Any], name: str) -> dict[str, Any]:
    part = data.get(name)
    if not isinstance(part, dict):
        raise MalformedEvent(f"The event has no object {name!r}.")
    return part


def _text(data: dict[str, Any], name: str) -> str:
    text = data.get(name)
    if not isinstance(text, str) or not text:
        raise MalformedEvent(f"The event has no text {name!r}.")
    return text


def _word(value: object) -> str | None:
    """Return the text without quotes, or None.

    Version `null` is that of objects from before their bucket had versions.
    """
    return value.strip('"') if isinstance(value, str) and value not in ("", "null") else None

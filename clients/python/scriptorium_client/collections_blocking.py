"""The methods of `Client` for collections."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import httpx

from scriptorium_client import calls
from scriptorium_client.calls import Call, File, Source
from scriptorium_client.collections import (
    Collection,
    Line,
    Lines,
    ListFile,
    collection_call,
    collections_call,
    is_list_file,
    lines_call,
    submit_collection_call,
)


class BlockingCollections:
    """What a client adds its requests to. Methods raise what those of the client raise."""

    def _json(self, call: Call, file: File | None = None) -> Any:
        raise NotImplementedError

    def _send(self, call: Call, file: File | None = None) -> httpx.Response:
        raise NotImplementedError

    def submit_collection(
        self,
        source: ListFile | Lines,
        *,
        name: str | None = None,
        suffix: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        webhook_url: str | None = None,
        ready_by: datetime | str | float | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Collection:
        """Submit many files: a list (a file of CSV or JSON lines), `s3://bucket/prefix/`, or lines.

        A line is an address, or the fields of a job. Each becomes a job or a named refusal.
        `ready_by`: as for a job, of the lines without their own.
        """
        given = {
            "name": name,
            "suffix": None if suffix is None else list(suffix),
            "metadata": None if metadata is None else dict(metadata),
            "webhook_url": webhook_url,
            "ready_by": ready_by,
        }
        call = submit_collection_call(source, options, given, idempotency_key)
        if not is_list_file(source):
            return Collection.from_json(self._json(call))
        with calls.opened(cast("Source", source)) as file:
            named = calls.file_name(cast("Source", source)), file
            return Collection.from_json(self._json(call, named))

    def collection(self, collection: str) -> Collection:
        """Return a collection as it is now."""
        return Collection.from_json(self._json(collection_call(collection)))

    def collections(self) -> Iterator[Collection]:
        """Yield all collections, newest first; fetch them page by page."""
        cursor: str | None = None
        while True:
            page = self._json(collections_call(cursor))
            for found in page["data"]:
                yield Collection.from_json(found)
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def lines(self, collection: str, *statuses: str) -> Iterator[Line]:
        """Yield the lines that became jobs or were refused, by number; all without a status."""
        cursor: int | None = 0
        while cursor is not None:
            page = self._json(lines_call(collection, statuses, cursor))
            for line in page["data"]:
                yield Line.from_json(line)
            cursor = page["next_cursor"]

    def wait_collection(self, collection: str, timeout: float | None = None) -> Collection:
        """Wait until all lines have ended. Raises TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, longest = calls.POLL_SECONDS
        while True:
            found = self.collection(collection)
            if found.final:
                return found
            if deadline is not None and time.monotonic() + pause > deadline:
                raise TimeoutError(f"Collection {collection} has not ended after {timeout} s.")
            time.sleep(pause)
            pause = min(longest, pause * 1.5)

    def cancel_collection(self, collection: str) -> Collection:
        """Cancel what has not ended, and make no more jobs."""
        call = collection_call(collection, "/cancel", "POST")
        return Collection.from_json(self._json(call))

    def retry_collection(
        self, collection: str, statuses: Sequence[str] = ("failed",)
    ) -> Collection:
        """Do the lines that ended so again, and only those; refused ones count as failed."""
        call = collection_call(collection, "/retry", "POST", {"statuses": list(statuses)})
        return Collection.from_json(self._json(call))

    def delete_collection(self, collection: str) -> None:
        """Delete a collection with its list and all of its jobs."""
        self._send(collection_call(collection, method="DELETE"))

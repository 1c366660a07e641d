"""Watchers of a job, and the one list of events that they share.

Everything here is used on the event loop's thread only. A watcher holds an index into the
list, so a slow client costs no more memory than a quick one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence

from orchestrator.cluster.job import Job
from orchestrator.events import Event, Position, Progress, position, seen_before

BATCH_CHARACTERS = 64 * 1024  # handed out at once; a connection buffers no more


class EventList:
    """The events of one run so far, shared by all who read them or wait for the run's end."""

    def __init__(self, tenant: str, job: str) -> None:
        self.tenant = tenant
        self.job = job
        self.run = 0  # 0: not known yet
        self.holders = 0  # number of readers and waiting calls
        self.events: list[Event] = []
        self.positions: list[Position] = []
        self.progress = Progress()  # written by the rendering thread; at most one runs at a time
        self.is_read = False  # the events are wanted, not just the end
        self.is_complete = False
        self.ended: Job | None = None
        self.error: Exception | None = None
        self.is_dirty = False  # there may be changes since the last rendering began
        self.is_rendering = False
        self.marked_at = float("-inf")
        self._changed = asyncio.Event()

    def extend(self, events: Sequence[Event]) -> None:
        """Add rendered events and wake all who wait for them."""
        self.events += events
        self.positions += [position(event.id) or () for event in events]
        self.wake()

    def end(self, job: Job, is_complete: bool) -> None:
        """Record that the job has ended; `is_complete`: all its events are in the list."""
        self.ended = job
        self.is_complete = self.is_complete or is_complete
        self.wake()

    def wake(self) -> None:
        """Wake all who wait in `changed`."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Wait for the next `wake`."""
        await self._changed.wait()


class Watcher:
    """One reader of a list: an asynchronous iterator over batches of new events.

    It stops after the `end` event. Raises UnknownJob once the job is deleted, ServerStopping,
    or the error of a rendering.
    """

    def __init__(self, source: EventList, last_event_id: str | None) -> None:
        self.source = source
        self._next = 0
        self._behind = seen_before(last_event_id, source.run)

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> Sequence[Event]:
        while not (batch := self._batch()):
            if self.source.error is not None:
                raise self.source.error
            if self.source.is_complete:
                raise StopAsyncIteration
            await self.source.changed()
        return batch

    def _batch(self) -> Sequence[Event]:
        events = self.source.events
        if self._behind is not None:
            self._next = bisect_right(self.source.positions, self._behind)
            if self._next == len(events):
                return ()  # the new events are not rendered yet
            self._behind = None
        first, size = self._next, 0
        while self._next < len(events) and size < BATCH_CHARACTERS:
            size += len(events[self._next].data)
            self._next += 1
        return events[first : self._next]

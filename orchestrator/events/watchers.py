"""Who watches a job, and the one list of events that all its watchers share.

Everything here belongs to the event loop's thread. A watcher holds an index into the
list, so a slow one costs no more than a quick one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence

from orchestrator.cluster.job import Job
from orchestrator.events import Event, Position, Told, position, seen_before

BATCH_CHARACTERS = 64 * 1024  # handed out at once; a connection is filled with no more


class EventList:
    """The events of one run so far."""

    def __init__(self, tenant: str, job: str) -> None:
        self.tenant = tenant
        self.job = job
        self.run = 0  # not known yet
        self.holders = 0  # who reads or waits
        self.events: list[Event] = []
        self.positions: list[Position] = []
        self.told = Told()  # of the thread that renders; there is one at a time
        self.is_read = False  # somebody wants the events, not just the end
        self.is_complete = False
        self.ended: Job | None = None
        self.error: Exception | None = None
        self.is_dirty = False  # something may have changed since the last rendering began
        self.is_rendering = False
        self.marked_at = float("-inf")
        self._changed = asyncio.Event()

    def extend(self, events: Sequence[Event]) -> None:
        """Add what was rendered and wake whoever waits for it."""
        self.events += events
        self.positions += [position(event.id) or () for event in events]
        self.wake()

    def end(self, job: Job, is_complete: bool) -> None:
        """The job has ended, and with `is_complete` all its events are in."""
        self.ended = job
        self.is_complete = self.is_complete or is_complete
        self.wake()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Wait until it is woken the next time."""
        await self._changed.wait()


class Watcher:
    """One reader of a list: an asynchronous iterator over batches of new events.

    It ends behind the `end` event. Raises UnknownJob once the job is deleted, ServerStopping,
    or what the rendering failed with.
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
                return ()  # what is new may still come
            self._behind = None
        first, size = self._next, 0
        while self._next < len(events) and size < BATCH_CHARACTERS:
            size += len(events[self._next].data)
            self._next += 1
        return events[first : self._next]

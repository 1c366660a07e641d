"""Deliver the events of jobs to all watchers of one process.

One thread hears from Redis which jobs have changed. A few other threads render the events of
watched jobs, once for all watchers of a job, and the event loop delivers them. A job without
watchers costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from gpu_worker.errors import TransientError
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.hints import LOOK_SECONDS, Hints
from orchestrator.cluster.job import Job
from orchestrator.events import Event
from orchestrator.events.facts import FactsReader
from orchestrator.events.renderer import Renderer
from orchestrator.events.watchers import EventList, Watcher

MOST_WATCHERS = 2000  # in one process
RENDERERS = 4  # threads; reading a chunk from S3 is nearly all waiting
PAUSE_SECONDS = 0.05  # between two renderings of one job, so that a burst makes one
PAUSE_FACTOR = 4.0  # a pause is at least this many times as long as the last rendering


class TooManyWatchers(TransientError):
    """This server has as many open event streams as it can serve."""

    code = "too_many_watchers"
    hint = "Try again later, or ask for the job's status instead."


class TooManyStreams(TransientError):
    """The tenant has as many open event streams at this server as the settings allow."""

    code = "too_many_streams"
    hint = "Close streams of jobs that have ended, or ask for the jobs' status instead."


class ServerStopping(TransientError):
    """This server is being stopped."""

    code = "server_stopping"
    hint = "Connect again; another server or the next start will answer."


class Hub:
    """The events of all jobs, for one event loop."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._facts = FactsReader(cluster)
        self._renderer = Renderer(self._facts, self._post, self._fail)
        self._lists: dict[tuple[str, str], EventList] = {}  # the newest lists that have holders
        self._held: set[EventList] = set()  # all that have: of a run before a retry too
        self._watchers: set[Watcher] = set()
        self._opening: Counter[str] = Counter()  # by tenant
        self._of_tenant: Counter[str] = Counter()  # watchers by tenant
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._hints: Hints | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start listening to Redis, and deliver on that event loop."""
        self._loop = loop
        self._pool = ThreadPoolExecutor(RENDERERS, "events")
        self._hints = Hints(self._cluster.redis, self._hear, lambda: self._post(self._look))
        self._hints.start()

    def stop(self) -> None:
        """End every stream and the threads; call it on the event loop."""
        for source in self._held:
            self._fail(source, ServerStopping())
        if self._pool and self._hints:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
            self._hints.stop()

    async def open(self, tenant: str, job: str, last_event_id: str | None = None) -> Watcher:
        """Return a watcher of the job's newest run; the caller closes it with `close`.

        Raises UnknownJob, TooManyWatchers, TooManyStreams, ServerStopping, redis.RedisError or the
        store's errors.
        """
        if len(self._watchers) + self._opening.total() >= MOST_WATCHERS:
            raise TooManyWatchers()
        most = self._cluster.settings.tenant_streams
        if self._of_tenant[tenant] + self._opening[tenant] >= most:
            raise TooManyStreams(f"There are {most} event streams of this tenant.")
        self._opening[tenant] += 1
        try:
            source = await self._hold(tenant, job, is_read=True)
        finally:
            _count_down(self._opening, tenant)
        watcher = Watcher(source, last_event_id)
        self._watchers.add(watcher)
        self._of_tenant[tenant] += 1
        return watcher

    async def events(
        self, tenant: str, job: str, last_event_id: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield the job's events after `last_event_id`, until its end. Raises as `open` does."""
        watcher = await self.open(tenant, job, last_event_id)
        try:
            async for batch in watcher:
                for event in batch:
                    yield event
        finally:
            self.close(watcher)

    def close(self, watcher: Watcher) -> None:
        """Stop a watcher and release its list."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
            _count_down(self._of_tenant, watcher.source.tenant)
            self._release(watcher.source)

    async def ended(self, tenant: str, job: str, timeout: float | None = None) -> Job:
        """Wait for the job's end and return it. Raises TimeoutError, UnknownJob, or as `open`."""
        async with asyncio.timeout(timeout):
            source = await self._hold(tenant, job, is_read=False)
            try:
                while source.ended is None:
                    if source.error is not None:
                        raise source.error
                    await source.changed()
                return source.ended
            finally:
                self._release(source)

    async def _hold(self, tenant: str, job: str, *, is_read: bool) -> EventList:
        """Return the shared list of the job's newest run, once its number is known.

        The caller releases it with `_release`.
        """
        if self._pool is None or self._loop is None:
            raise ServerStopping()
        source = self._lists.get((tenant, job))
        if source and (source.run or source.error):
            newest = await self._loop.run_in_executor(self._pool, self._newest_run, source)
            known = self._lists.get((tenant, job))
            is_fit = known and not known.error and (not known.run or known.run >= newest)
            source = known if is_fit else None
        is_new = source is None
        if source is None:
            source = self._lists[tenant, job] = EventList(tenant, job)
        source.holders += 1
        self._held.add(source)
        if is_new or (is_read and not source.is_read):
            source.is_read = is_read
            self._mark(source)
        try:
            while not source.run and not source.error:
                await source.changed()
            if source.error:
                raise source.error
        except BaseException:
            self._release(source)
            raise
        return source

    def _release(self, source: EventList) -> None:
        """Count one holder less; with the last one drop the list."""
        source.holders -= 1
        if not source.holders:
            self._held.discard(source)
            self._drop(source)

    # These run on the event loop: when a list is rendered.

    def _mark(self, source: EventList) -> None:
        """Mark a list as possibly changed, and render it unless that is happening already."""
        source.is_dirty = True
        source.marked_at = time.monotonic()
        if not source.is_rendering:
            self._begin(source)

    def _mark_named(self, name: tuple[str, str]) -> None:
        if source := self._lists.get(name):
            self._mark(source)

    def _look(self) -> None:
        """Mark every list for which no hint came for half of LOOK_SECONDS."""
        quiet = time.monotonic() - LOOK_SECONDS / 2
        for source in self._held:
            if source.marked_at < quiet:
                self._mark(source)

    def _begin(self, source: EventList) -> None:
        done = source.is_complete if source.is_read else source.ended is not None
        is_over = done or source.error is not None or not source.holders
        if source.is_dirty and not is_over and self._pool:
            source.is_dirty, source.is_rendering = False, True
            self._pool.submit(self._render, source, source.is_read)

    def _rest(self, source: EventList, seconds: float) -> None:
        """Allow the next rendering after a pause, now that one has ended."""
        assert self._loop is not None
        self._loop.call_later(seconds, self._go_on, source)

    def _go_on(self, source: EventList) -> None:
        source.is_rendering = False
        self._begin(source)

    def _fail(self, source: EventList, error: Exception) -> None:
        source.error = source.error or error
        self._drop(source)
        source.wake()

    def _drop(self, source: EventList) -> None:
        if self._lists.get(name := (source.tenant, source.job)) is source:
            del self._lists[name]

    # These run on other threads.

    def _newest_run(self, source: EventList) -> int:
        """Return the job's newest run; of one that seems to go on, as far as Redis says it."""
        if source.ended or source.error:
            return self._facts.newest_run(source.tenant, source.job)
        return self._facts.newest_known(source.tenant, source.job, source.run)

    def _render(self, source: EventList, is_read: bool) -> None:
        began = time.monotonic()
        self._renderer.render(source, is_read)
        pause = min(LOOK_SECONDS, PAUSE_FACTOR * (time.monotonic() - began))
        self._post(self._rest, source, max(PAUSE_SECONDS, pause))

    def _hear(self, tenant: str, job: str) -> None:
        if (tenant, job) in self._lists:
            self._post(self._mark_named, (tenant, job))

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        """Call the function on the event loop, unless the loop is closed."""
        assert self._loop is not None
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)


def _count_down(counts: Counter[str], tenant: str) -> None:
    counts[tenant] -= 1
    if not counts[tenant]:
        del counts[tenant]

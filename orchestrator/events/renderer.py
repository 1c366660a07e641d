"""Make a job's new events from its facts on a thread and hand them to the event loop.

A list has at most one rendering at a time, and only a rendering writes `progress`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError, TransientError
from orchestrator.events import Event, Facts, events_after
from orchestrator.events.facts import FactsReader
from orchestrator.events.watchers import EventList

FLUSH_SECONDS = 0.2  # seconds after which the first events are handed out while later ones are read
log = structlog.get_logger(__name__)


class Renderer:
    """Renders lists of events on worker threads.

    `post` makes the event loop call a function; `fail` is called there with a list and its error.
    """

    def __init__(
        self,
        facts: FactsReader,
        post: Callable[..., None],
        fail: Callable[[EventList, Exception], None],
    ) -> None:
        self._facts = facts
        self._post = post
        self._fail = fail

    def render(self, source: EventList, is_read: bool) -> None:
        """Bring a list up to date; without `is_read` only check for the end. Raises nothing."""
        try:
            self._advance(source, is_read)
        except (RedisError, TransientError) as error:  # the next rendering tries again
            log.warning("events_wait", tenant=source.tenant, job=source.job, reason=str(error))
            if not source.run:  # no event was sent yet, so the watcher can still get the error
                self._post(self._fail, source, error)
        except ScriptoriumError as error:
            self._post(self._fail, source, error)
        except Exception:
            log.exception("events_failed", tenant=source.tenant, job=source.job)
            self._post(self._fail, source, ScriptoriumError())

    def _advance(self, source: EventList, is_read: bool) -> None:
        tenant, job = source.tenant, source.job
        if not source.run:
            source.run = self._facts.newest_run(tenant, job)
            self._post(source.wake)
        facts = self._facts.read(tenant, job, source.run)
        if facts is None:
            return
        if is_read:
            self._render_new(source, facts)
        if facts.ended:
            self._post(source.end, facts.ended, is_read)

    def _render_new(self, source: EventList, facts: Facts) -> None:
        """Hand out the new events, also those that were made before an error."""
        batch: list[Event] = []
        flushed = time.monotonic()
        try:
            for event, progress in events_after(
                facts, partial(self._facts.text, facts), source.progress
            ):
                batch.append(event)
                source.progress = progress
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    self._post(source.extend, batch)
                    batch, flushed = [], time.monotonic()
        finally:
            self._post(source.extend, batch)

"""Making a job's new events from its facts, on a thread, and handing them to the event loop.

Of one list there is one rendering at a time; only it touches `told`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import structlog
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError, TransientError
from orchestrator.events import Event, Facts, tell
from orchestrator.events.facts import FactsReader
from orchestrator.events.watchers import EventList

FLUSH_SECONDS = 0.2  # a long job's first events are handed out while later ones are read
log = structlog.get_logger(__name__)


class Renderer:
    """`post` has the loop call a function; `fail` is to be called there with a list's error."""

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
        """Bring a list up to date, or only see whether the job has ended. Raises nothing."""
        try:
            self._advance(source, is_read)
        except (RedisError, TransientError) as error:  # the next look tries again
            log.warning("events_wait", tenant=source.tenant, job=source.job, reason=str(error))
            if not source.run:  # nobody was told anything yet
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
            self._tell(source, facts)
        if facts.ended:
            self._post(source.end, facts.ended, is_read)

    def _tell(self, source: EventList, facts: Facts) -> None:
        """As far as it is known, also if something fails on the way."""
        batch: list[Event] = []
        flushed = time.monotonic()
        try:
            for event, told in tell(facts, partial(self._facts.text, facts), source.told):
                batch.append(event)
                source.told = told
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    self._post(source.extend, batch)
                    batch, flushed = [], time.monotonic()
        finally:
            self._post(source.extend, batch)

"""Write the audit trail: each entry as a log line at once, and in batches into the store.

    audit/<day>/<time of its first entry>-<process>-<number>.jsonl

A batch is written after FLUSH_SECONDS or BATCH entries, so that a request costs no request to the
store; a process that is killed loses at most these. What must not be lost (deletions, keys) is
written before its caller goes on. Batches are artifacts, so nothing is ever written over.
"""

from __future__ import annotations

import atexit
import os
import secrets
import threading
from datetime import UTC, datetime
from itertools import count, groupby

import structlog

from gpu_worker.errors import ScriptoriumError
from orchestrator.trail.entry import Entry, folder
from tasks.artifacts import ArtifactStore

LOGGER = "scriptorium.audit"  # operators route its lines by this name
FLUSH_SECONDS = 5.0
BATCH = 500  # entries, after which a batch is written early
MOST_WAITING = 10_000  # entries in memory while the store is away; the oldest are dropped
log = structlog.get_logger(__name__)
_lines = structlog.get_logger(LOGGER)


class Trail:
    """The audit trail of one process. Threads may share it."""

    def __init__(self, store: ArtifactStore, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._store = store
        self._flush_seconds = flush_seconds
        self._waiting: list[Entry] = []
        self._lock = threading.Lock()  # guards `_waiting` and `_timer`
        self._writing = threading.Lock()  # one batch after the other
        self._timer: threading.Timer | None = None
        self._numbers = count()
        self._process, self._name = 0, ""
        self._closes_at_exit = False

    def note(self, entry: Entry) -> None:
        """Log an entry now, and write it into the store soon; never waits for the store."""
        self._say(entry)
        with self._lock:
            self._waiting.append(entry)
            if not self._closes_at_exit:
                self._closes_at_exit = True
                atexit.register(self.close)
            is_full = len(self._waiting) == BATCH
            if is_full and self._timer is not None:
                self._timer.cancel()
            if is_full or self._timer is None:
                self._start(0.0 if is_full else self._flush_seconds)

    def note_now(self, entry: Entry) -> None:
        """Log an entry and write it into the store before returning.

        While the store is away it is written with the next batch instead.
        """
        try:
            self._write([entry])
        except ScriptoriumError as error:
            log.warning("audit_waits", reason=str(error))
            self.note(entry)
        else:
            _count("written", 1)
            self._say(entry)

    def flush(self) -> None:
        """Write what waits. While the store is away, try again later."""
        with self._writing:
            with self._lock:
                batch, self._waiting = self._waiting, []
                self._timer = None
            try:
                while batch:
                    day = batch[0].day
                    of_day = next(list(group) for _, group in groupby(batch, lambda it: it.day))
                    self._write(of_day)
                    batch = batch[len(of_day) :]
                    _count("written", len(of_day))
                    log.debug("audit_written", day=day, entries=len(of_day))
            except ScriptoriumError as error:
                log.warning("audit_waits", reason=str(error))
                _count("delayed", len(batch))
                self._keep(batch)

    def close(self) -> None:
        """Write what waits, at the end of the process."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            is_registered, self._closes_at_exit = self._closes_at_exit, False
        if is_registered:
            atexit.unregister(self.close)
            self.flush()
            with self._lock:  # without a store nothing is tried again
                if self._timer is not None:
                    self._timer.cancel()

    def _start(self, seconds: float) -> None:
        """Flush in a thread after a while; the caller has the lock."""
        self._timer = threading.Timer(seconds, self.flush)
        self._timer.daemon = True
        self._timer.start()

    def _keep(self, batch: list[Entry]) -> None:
        """Let entries wait for the next try, in front of newer ones."""
        with self._lock:
            self._waiting[:0] = batch
            lost = len(self._waiting) - MOST_WAITING
            if lost > 0:
                del self._waiting[:lost]
                _count("lost", lost)
                log.error("audit_entries_lost", entries=lost, reason="The store is away.")
            if self._timer is None:
                self._start(self._flush_seconds)

    def _write(self, entries: list[Entry]) -> None:
        """Write a batch of one day. Raises the store's errors."""
        if self._process != os.getpid():  # a fork must not have its parent's name
            self._process, self._name = os.getpid(), secrets.token_hex(4)
        moment = datetime.fromtimestamp(entries[0].at, UTC).strftime("%H%M%S.%f")[:-3]
        name = f"{moment}-{self._name}-{next(self._numbers)}.jsonl"
        text = "".join(entry.to_line() for entry in entries)
        self._store.put(folder(entries[0].day) + name, text.encode("utf-8", "replace"))

    def _say(self, entry: Entry) -> None:
        data = entry.to_json()
        data["client"] = data.pop("from", None)  # a word of Python, which no argument can have
        _lines.info("audit", **data)


def _count(outcome: str, entries: int) -> None:
    from tasks.telemetry.metrics import AUDIT_ENTRIES  # most commands do not need it

    AUDIT_ENTRIES.labels(outcome).inc(entries)

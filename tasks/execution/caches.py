"""Services whose reads of a distant store are cached, and the thread that keeps the caches tidy."""

from __future__ import annotations

import threading

import structlog

from config.settings import Settings
from gpu_worker.errors import ScriptoriumError
from tasks.artifacts.cached import CachedStore
from tasks.connections import MOST_STATE
from tasks.services import Services, open_services
from tasks.telemetry.counts import count_read

TIDY_SECONDS = 600.0  # deleted audio is dropped within this time and FRESH_SECONDS
log = structlog.get_logger(__name__)


def open_cached_services(settings: Settings) -> Services:
    """Open the services of a worker. Raises InvalidOption or StoreUnavailable."""
    services = open_services(settings, count_read=count_read, most_connections=MOST_STATE)
    if isinstance(services.store, CachedStore):
        threading.Thread(
            target=keep_tidy,
            args=(services.store, threading.Event()),
            name="tidy-caches",
            daemon=True,
        ).start()
    return services


def keep_tidy(store: CachedStore, ended: threading.Event, seconds: float = TIDY_SECONDS) -> None:
    """Drop old copies and those of deleted audio every so many seconds, until the event is set."""
    while not ended.wait(seconds):
        try:
            store.tidy()
        except ScriptoriumError as error:  # the store does not answer: the next time it may
            log.info("caches_not_tidied", code=error.code)

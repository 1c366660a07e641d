"""Tell in Redis, every few seconds, that this worker is there, and what it does.

A thread of the worker's main process tells it, so that a slow Redis does not delay the worker's
loop. While the loop hangs, or has no broker, it tells nothing. While the worker ends, it tells so.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from celery.signals import heartbeat_sent, worker_ready, worker_shutting_down
from celery.worker import state
from redis.exceptions import RedisError

from config.settings import Settings, settings
from gpu_worker.devices.card import CPU, used_card, used_joules, used_uuid
from gpu_worker.devices.metering import OwnJoules
from tasks.broker import redis_address
from tasks.runs.stages import Pool, queues
from tasks.services import open_redis
from tasks.state.presence import GONE_SECONDS, TELL_SECONDS, Presence, Presences, State

PATIENCE_SECONDS = 2.0  # with Redis; the next try comes soon
log = structlog.get_logger(__name__)


class Telling:
    """Tells of one worker until it ends."""

    def __init__(
        self,
        presences: Presences,
        name: str,
        values: Settings,
        *,
        has_models: bool,
        units: Callable[[], int] = lambda: len(state.active_requests),
    ) -> None:
        """`units`: how many are in work just now."""
        self._presences, self._name, self._units = presences, name, units
        self._pool = values.worker_pool or (Pool.GPU if has_models else Pool.CPU).value
        self._wanted = values.device if has_models else CPU
        self._beaten_at = time.monotonic()
        self._is_stopping = False
        self._is_told = False
        self._over = threading.Event()
        self._turn = threading.Lock()  # so that nothing is told after the end
        self.users = 1  # workers that are busy on this worker's card; at least this one

    def begin(self) -> None:
        """Tell from now on."""
        threading.Thread(target=self._run, name="presence", daemon=True).start()

    def beat(self) -> None:
        """Take note that the worker's loop does not hang."""
        self._beaten_at = time.monotonic()

    def stop(self) -> None:
        """Tell from now on that the worker takes no more units."""
        self._is_stopping = True

    def end(self) -> None:
        """Tell no more, and take the worker out."""
        with self._turn:
            self._over.set()
        with suppress(RedisError):  # it is out after GONE_SECONDS
            self._presences.forget(self._name)

    def tell(self) -> None:
        """Tell once. Raises redis.RedisError."""
        now, is_busy = self._presences.now(), self._units() > 0
        does = State.BUSY if is_busy else State.IDLE
        device = CPU if used_card(self._wanted) == CPU else "cuda"
        self._presences.tell(
            self._name,
            Presence(self._pool, State.STOPPING if self._is_stopping else does, device, now),
        )
        if (card := used_uuid(self._wanted)) is not None:
            self.users = self._presences.users(card, self._name, now, is_busy=is_busy)

    def _run(self) -> None:
        while not self._over.is_set():
            with self._turn:
                if not self._over.is_set():
                    self._try_to_tell()
            self._over.wait(TELL_SECONDS)

    def _try_to_tell(self) -> None:
        if not self._is_stopping and time.monotonic() - self._beaten_at > GONE_SECONDS:
            return
        try:
            self.tell()
            self._is_told = False
        except Exception as error:  # its own figures must not end a worker
            if not self._is_told:
                log.warning("presence_not_told", reason=repr(error))
            self._is_told = True


_of_worker: list[Telling] = []  # filled when the worker is ready
_main_process: list[int] = []


def users_of_card() -> int:
    """Return how many workers are busy on this worker's card, itself counted."""
    return _of_worker[0].users if _of_worker else 1


def own_joules(wanted: str) -> OwnJoules:
    """Return the counter of this worker's part of what its card uses; `wanted`: its device."""
    return OwnJoules(partial(used_joules, wanted), users_of_card)


def take_no_more() -> None:
    """Tell that the worker takes no more units."""
    if _of_worker:
        _of_worker[0].stop()


def leave_list() -> None:
    """Take the worker out of the list before its process ends."""
    if _of_worker and _main_process == [os.getpid()]:
        _of_worker[0].end()


@worker_ready.connect
def _begin(sender: Any = None, **_: Any) -> None:
    """Begin to tell; a worker is ready again after each reconnection."""
    if _of_worker:
        return
    values, read = settings(), sender.app.amqp.queues.consume_from
    presences = Presences(open_redis(redis_address(values), PATIENCE_SECONDS, tries_again=False))
    has_models = not set(read).isdisjoint(queues(Pool.GPU))
    _of_worker.append(Telling(presences, sender.hostname, values, has_models=has_models))
    _main_process.append(os.getpid())
    _of_worker[0].begin()
    atexit.register(leave_list)  # Celery tells of no end that CPU workers come to on SIGTERM


@heartbeat_sent.connect
def _beat(**_: Any) -> None:
    if _of_worker:
        _of_worker[0].beat()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    take_no_more()

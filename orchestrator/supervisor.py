"""Keeps worker processes alive: starts them, starts them again when they die, stops them.

When one dies its leases are let go at once, so nobody waits for them to expire.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from config.settings import Settings
from orchestrator.process import Child
from orchestrator.workers import WorkerSpec, worker_command, worker_environment
from tasks.leases import Leases

POLL_SECONDS = 0.2
STABLE_SECONDS = 30.0  # a worker that lived this long is restarted without delay
LONGEST_DELAY_SECONDS = 30.0
log = structlog.get_logger(__name__)


def restart_delay(lived_seconds: float, quick_deaths: int) -> float:
    """Nothing at first; doubling for a worker that keeps dying as soon as it starts."""
    if lived_seconds >= STABLE_SECONDS or quick_deaths <= 3:
        return 0.0
    return min(LONGEST_DELAY_SECONDS, 2.0 ** (quick_deaths - 3))


class Supervisor:
    """The workers of one machine.

    Its thread starts and ends them all: a child that dies with its parent dies, to the
    kernel, with the thread that started it.
    """

    def __init__(self, settings: Settings, leases: Leases, logs: Path) -> None:
        self._settings = settings
        self._leases = leases
        self._logs = logs
        self._specs: dict[str, WorkerSpec] = {}
        self._children: dict[str, Child] = {}
        self._started: dict[str, float] = {}
        self._quick_deaths: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._lock = threading.RLock()
        self._grace_seconds = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self, specs: tuple[WorkerSpec, ...]) -> None:
        """Start all of them and keep them alive."""
        with self._lock:
            for spec in specs:
                self._specs[spec.name] = spec
                self._due[spec.name] = 0.0
        self._thread.start()

    def children(self) -> dict[str, int]:
        """Process ids by worker name."""
        with self._lock:
            return {
                name: child.pid
                for name, child in self._children.items()
                if child.exit_status is None
            }

    def stop(self, grace_seconds: float) -> None:
        """Let each finish what it does, for at most the grace; then end it."""
        self._grace_seconds = grace_seconds
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                for name, child in list(self._children.items()):
                    if child.exit_status is not None:
                        self._bury(name, child)
                for name, due in list(self._due.items()):
                    if time.monotonic() >= due:
                        self._launch(self._specs[name])
            self._stop.wait(POLL_SECONDS)
        self._end(list(self._children.values()))

    def _end(self, children: list[Child]) -> None:
        if self._grace_seconds > 0:
            for child in children:
                child.terminate()
        deadline = time.monotonic() + self._grace_seconds
        for child in children:
            child.wait(max(0.0, deadline - time.monotonic()))
            child.kill()

    def _launch(self, spec: WorkerSpec) -> None:
        del self._due[spec.name]
        self._started[spec.name] = time.monotonic()
        self._children[spec.name] = Child(
            spec.name,
            worker_command(spec),
            self._logs / f"{spec.name.partition('@')[0]}.log",
            worker_environment(spec, self._settings, os.environ),
        )

    def _bury(self, name: str, child: Child) -> None:
        lived = time.monotonic() - self._started[name]
        quick = 0 if lived >= STABLE_SECONDS else self._quick_deaths.get(name, 0) + 1
        self._quick_deaths[name] = quick
        delay = restart_delay(lived, quick)
        log.warning(
            "worker_died", worker=name, exit_status=child.exit_status, restart_seconds=delay
        )
        child.kill()  # what is left of its group
        del self._children[name]
        self._due[name] = time.monotonic() + delay
        with suppress(RedisError):  # they expire by themselves
            self._leases.release_worker(name)

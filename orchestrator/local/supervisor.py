"""Keeps programs alive: starts them, starts them again when they die, stops them.

When a worker dies its leases are let go at once, so nobody waits for them to expire.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import structlog
from redis.exceptions import RedisError

from orchestrator.local.process import Child
from orchestrator.local.programs import Program
from tasks.leases import Leases

POLL_SECONDS = 0.2
STABLE_SECONDS = 30.0  # a program that lived this long is restarted without delay
LONGEST_DELAY_SECONDS = 30.0
log = structlog.get_logger(__name__)


def restart_delay(lived_seconds: float, quick_deaths: int) -> float:
    """Nothing at first; doubling for a program that keeps dying as soon as it starts."""
    if lived_seconds >= STABLE_SECONDS or quick_deaths <= 3:
        return 0.0
    return min(LONGEST_DELAY_SECONDS, 2.0 ** (quick_deaths - 3))


class Supervisor:
    """The programs of one machine.

    Its thread starts and ends them all: a child that dies with its parent dies, to the
    kernel, with the thread that started it.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._programs: dict[str, Program] = {}
        self._children: dict[str, Child] = {}
        self._started: dict[str, float] = {}
        self._quick_deaths: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._lock = threading.RLock()
        self._grace_seconds = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self, programs: tuple[Program, ...]) -> None:
        """Start all of them and keep them alive."""
        with self._lock:
            for program in programs:
                self._programs[program.name] = program
                self._due[program.name] = 0.0
        self._thread.start()

    def children(self) -> dict[str, int]:
        """Process ids by name."""
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
                        self._launch(self._programs[name])
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

    def _launch(self, program: Program) -> None:
        del self._due[program.name]
        self._started[program.name] = time.monotonic()
        self._children[program.name] = Child(
            program.name,
            program.command,
            program.log,
            program.environment,
            niceness=program.niceness,
        )

    def _bury(self, name: str, child: Child) -> None:
        lived = time.monotonic() - self._started[name]
        quick = 0 if lived >= STABLE_SECONDS else self._quick_deaths.get(name, 0) + 1
        self._quick_deaths[name] = quick
        delay = restart_delay(lived, quick)
        log.warning(
            "program_died", program=name, exit_status=child.exit_status, restart_seconds=delay
        )
        child.kill()  # what is left of its group
        del self._children[name]
        self._due[name] = time.monotonic() + delay
        with suppress(RedisError):  # they expire by themselves
            self._leases.release_worker(name)

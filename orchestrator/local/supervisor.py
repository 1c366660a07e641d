"""Keep programs alive: start them, restart those that die, drain and stop them.

The leases of a dead worker are released at once, so that no unit waits until they expire.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from orchestrator.local.process import Child
from orchestrator.local.programs import Program
from tasks.execution.fitness import EXIT_UNFIT
from tasks.state.leases import Leases

POLL_SECONDS = 0.2
STABLE_SECONDS = 30.0  # a program that lived this long is restarted without delay
LONGEST_DELAY_SECONDS = 30.0
UNFIT_TIMES = 2  # a second test in a new process, in case the first one met a passing fault
KEPT_DRAINS = 1000
log = structlog.get_logger(__name__)


def restart_delay(lived_seconds: float, quick_deaths: int) -> float:
    """Return the seconds until a restart: 0 at first, then doubling up to 30.

    It doubles for a program that died within STABLE_SECONDS more than three times in a row.
    """
    if lived_seconds >= STABLE_SECONDS or quick_deaths <= 3:
        return 0.0
    return min(LONGEST_DELAY_SECONDS, 2.0 ** (quick_deaths - 3))


@dataclass(frozen=True, slots=True)
class Drain:
    """How a retired program ended."""

    name: str
    seconds: float  # from the request to the end
    exit_status: int
    was_killed: bool  # the grace was over


@dataclass(slots=True)
class _Retirement:
    began: float  # on the monotonic clock
    grace_seconds: float
    is_told: bool = False
    is_killed: bool = False


class Supervisor:
    """The programs of one machine.

    One thread starts and ends them all: for the kernel, a child that is to die with its parent
    dies with the thread that started it.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._programs: dict[str, Program] = {}
        self._children: dict[str, Child] = {}
        self._started: dict[str, float] = {}
        self._quick_deaths: dict[str, int] = {}
        self._unfit: dict[str, int] = {}  # how often a worker ended as unfit, one after another
        self._due: dict[str, float] = {}
        self._retiring: dict[str, _Retirement] = {}
        self._drains: deque[Drain] = deque(maxlen=KEPT_DRAINS)
        self._lock = threading.RLock()
        self._grace_seconds = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self, programs: tuple[Program, ...]) -> None:
        """Start all programs and keep them alive."""
        for program in programs:
            self.add(program)
        self._thread.start()

    def add(self, program: Program) -> None:
        """Start one more program and keep it alive. Raises ValueError if its name is taken."""
        with self._lock:
            if program.name in self._programs:
                raise ValueError(f"There is a program named {program.name} already.")
            self._programs[program.name] = program
            self._due[program.name] = 0.0

    def retire(self, name: str, grace_seconds: float) -> None:
        """Let a program finish its work, for at most the grace, and do not restart it."""
        with self._lock:
            if self._due.pop(name, None) is not None:  # it is not running
                self._forget(name)
            elif name in self._children:
                self._retiring.setdefault(name, _Retirement(time.monotonic(), grace_seconds))

    def retiring(self) -> frozenset[str]:
        """Return the names of programs that were retired and have not ended."""
        with self._lock:
            return frozenset(self._retiring)

    def drains(self) -> tuple[Drain, ...]:
        """Return how the retired programs ended, the latest last."""
        with self._lock:
            return tuple(self._drains)

    def names(self) -> frozenset[str]:
        """Return the names of the programs that are kept alive."""
        with self._lock:
            return frozenset(self._programs)

    def children(self) -> dict[str, int]:
        """Return the process ids of running programs by name."""
        with self._lock:
            return {
                name: child.pid
                for name, child in self._children.items()
                if child.exit_status is None
            }

    def unfit(self) -> Mapping[str, Path]:
        """Return the logs of the workers that find themselves unfit each time, by name."""
        with self._lock:
            return {
                name: self._programs[name].log
                for name, times in self._unfit.items()
                if times >= UNFIT_TIMES and name in self._programs
            }

    def stop(self, grace_seconds: float) -> None:
        """Let each program finish its work, for at most the grace; then kill it."""
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
                    elif name in self._retiring:
                        self._drain(child, self._retiring[name])
                for name, due in list(self._due.items()):
                    if time.monotonic() >= due:
                        self._launch(self._programs[name])
            self._stop.wait(POLL_SECONDS)
        self._end(list(self._children.values()))

    def _end(self, children: list[Child]) -> None:
        if self._grace_seconds > 0:
            for child in children:
                retirement = self._retiring.get(child.name)
                if retirement is None or not retirement.is_told:  # a second SIGTERM means: at once
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

    def _drain(self, child: Child, retirement: _Retirement) -> None:
        if not retirement.is_told:
            child.terminate()
            retirement.is_told = True
        elif time.monotonic() - retirement.began > retirement.grace_seconds:
            retirement.is_killed = True
            child.kill()

    def _bury(self, name: str, child: Child) -> None:
        child.kill()  # what is left of its process group
        retirement = self._retiring.get(name)
        if retirement is not None:
            self._note_drain(name, child, retirement)
            self._forget(name)
        else:
            self._restart(name, child)
        with suppress(RedisError):  # else the leases expire by themselves
            self._leases.release_worker(name)

    def _restart(self, name: str, child: Child) -> None:
        lived = time.monotonic() - self._started[name]
        quick = 0 if lived >= STABLE_SECONDS else self._quick_deaths.get(name, 0) + 1
        self._quick_deaths[name] = quick
        is_unfit = child.exit_status == EXIT_UNFIT
        self._unfit[name] = self._unfit.get(name, 0) + 1 if is_unfit else 0
        delay = restart_delay(lived, quick)
        log.warning(
            "program_died", program=name, exit_status=child.exit_status, restart_seconds=delay
        )
        del self._children[name]
        self._due[name] = time.monotonic() + delay

    def _note_drain(self, name: str, child: Child, retirement: _Retirement) -> None:
        drain = Drain(
            name=name,
            seconds=round(time.monotonic() - retirement.began, 3),
            exit_status=child.exit_status or 0,
            was_killed=retirement.is_killed,
        )
        self._drains.append(drain)
        tell = log.warning if drain.was_killed else log.info
        tell(
            "worker_drained",
            program=name,
            seconds=drain.seconds,
            exit_status=drain.exit_status,
            was_killed=drain.was_killed,
        )

    def _forget(self, name: str) -> None:
        for known in (
            *(self._programs, self._children, self._started),
            *(self._quick_deaths, self._unfit),
        ):
            known.pop(name, None)
        self._retiring.pop(name, None)

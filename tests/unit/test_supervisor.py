"""Workers are kept alive, and let go when they should end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from orchestrator.local import supervisor as module
from orchestrator.local.programs import Program
from orchestrator.local.supervisor import (
    LONGEST_DELAY_SECONDS,
    STABLE_SECONDS,
    Supervisor,
    restart_delay,
)
from tasks.leases import Leases
from tests.unit.eventually import eventually

NAME = "gpu0@test"
WAITING = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); signal.pause()"


@pytest.mark.parametrize(
    ("lived", "quick_deaths", "delay"),
    [
        (STABLE_SECONDS, 99, 0.0),
        (0.0, 1, 0.0),
        (0.0, 3, 0.0),
        (0.0, 4, 2.0),
        (0.0, 5, 4.0),
        (0.0, 50, LONGEST_DELAY_SECONDS),
    ],
)
def test_a_worker_that_keeps_dying_waits_longer(
    lived: float, quick_deaths: int, delay: float
) -> None:
    assert restart_delay(lived, quick_deaths) == delay


@pytest.fixture
def leases(redis: Redis) -> Leases:
    return Leases(redis, 30.0)


@pytest.fixture
def supervised(
    leases: Leases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Supervisor]:
    """One program that waits to be told to end."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    supervisor = Supervisor(leases)
    command = (sys.executable, "-c", WAITING)
    supervisor.start((Program(NAME, command, {"GREETING": "hello"}, tmp_path / "log", niceness=3),))
    yield supervisor
    supervisor.stop(0.0)


def pid_of(supervised: Supervisor) -> int:
    assert eventually(lambda: bool(supervised.children()))
    return supervised.children()[NAME]


def test_a_worker_that_died_is_started_again_and_its_leases_let_go(
    supervised: Supervisor, leases: Leases
) -> None:
    first = pid_of(supervised)
    leases.take("key", f"{NAME}:1")
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: supervised.children().get(NAME, first) != first)
    assert eventually(lambda: leases.held(["key"]) == [False])


def test_stopping_ends_every_worker(supervised: Supervisor) -> None:
    pid = pid_of(supervised)
    supervised.stop(10.0)
    assert supervised.children() == {}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_has_its_log_environment_and_niceness(
    supervised: Supervisor, tmp_path: Path
) -> None:
    pid = pid_of(supervised)
    assert (tmp_path / "log").exists()
    assert eventually(lambda: os.getpriority(os.PRIO_PROCESS, pid) == 3)
    assert b"GREETING=hello" in Path(f"/proc/{pid}/environ").read_bytes()


def test_stopping_before_the_start_is_no_error(leases: Leases) -> None:
    Supervisor(leases).stop(0.0)

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
from tasks.state.leases import Leases
from tests.eventually import eventually

NAME = "gpu0@test"
OTHER = "gpu1@test"
WAITING = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); signal.pause()"
TERM = 1 << (signal.SIGTERM - 1)
DEAF = "import signal, sys; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); "


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
    niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + 3, 19)  # the tests may be nice themselves
    assert eventually(lambda: os.getpriority(os.PRIO_PROCESS, pid) == niceness)
    assert b"GREETING=hello" in Path(f"/proc/{pid}/environ").read_bytes()


def added(supervised: Supervisor, tmp_path: Path, code: str) -> int:
    """A second program, and its process id."""
    command = (sys.executable, "-c", code)
    supervised.add(Program(OTHER, command, {}, tmp_path / "other.log"))
    assert eventually(lambda: OTHER in supervised.children())
    return supervised.children()[OTHER]


@pytest.mark.slow
def test_one_that_is_added_later_is_kept_alive_too(supervised: Supervisor, tmp_path: Path) -> None:
    first = added(supervised, tmp_path, WAITING)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: supervised.children().get(OTHER, first) != first)
    with pytest.raises(ValueError, match=OTHER):
        added(supervised, tmp_path, WAITING)


@pytest.mark.slow
def test_a_retired_one_ends_by_itself_and_is_not_started_again(
    supervised: Supervisor, tmp_path: Path
) -> None:
    finishes = WAITING.replace("sys.exit(0)", "(print('done', flush=True), sys.exit(0))")
    pid = added(supervised, tmp_path, finishes)
    assert eventually(lambda: bool(mask_of(pid, "SigCgt") & TERM))
    supervised.retire(OTHER, 60.0)
    assert eventually(lambda: OTHER not in supervised.children())
    assert eventually(lambda: supervised.retiring() == frozenset())
    (drain,) = supervised.drains()
    assert (drain.name, drain.exit_status, drain.was_killed) == (OTHER, 0, False)
    assert 0 <= drain.seconds < 60
    assert (tmp_path / "other.log").read_text() == "done\n"
    assert NAME in supervised.children()


def mask_of(pid: int, name: str) -> int:
    """One of a process's sets of signals, by its name in /proc."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1], 16)


@pytest.mark.slow
def test_a_retired_one_that_does_not_end_is_killed_past_its_grace_and_its_leases_let_go(
    supervised: Supervisor, leases: Leases, tmp_path: Path
) -> None:
    leases.take("key", f"{OTHER}:1")
    added(supervised, tmp_path, DEAF + "signal.pause()")
    assert eventually(lambda: (tmp_path / "other.log").read_text() == "deaf\n")
    supervised.retire(OTHER, 0.2)
    assert eventually(lambda: bool(supervised.drains()))
    (drain,) = supervised.drains()
    assert drain.was_killed and drain.exit_status == -signal.SIGKILL and drain.seconds >= 0.2
    assert eventually(lambda: leases.held(["key"]) == [False])


@pytest.mark.slow
def test_one_that_waits_to_be_started_again_is_retired_at_once(
    supervised: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "restart_delay", lambda *_: 3600.0)
    os.kill(added(supervised, tmp_path, WAITING), signal.SIGKILL)
    assert eventually(lambda: OTHER not in supervised.children())
    assert eventually(lambda: OTHER in supervised._due)
    supervised.retire(OTHER, 60.0)
    supervised.retire("nobody", 60.0)
    assert supervised.retiring() == frozenset()
    added(supervised, tmp_path, WAITING)  # its name is free


@pytest.mark.slow
def test_stopping_does_not_tell_a_retired_one_twice(supervised: Supervisor, tmp_path: Path) -> None:
    twice = "signal.sigwait([15]); print(signal.sigtimedwait([15], 1.0))"
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15])"
    added(supervised, tmp_path, f"{block}; print('ready', flush=True); {twice}")
    assert eventually(lambda: (tmp_path / "other.log").read_text() == "ready\n")
    supervised.retire(OTHER, 60.0)
    assert eventually(lambda: supervised._retiring[OTHER].is_told)
    supervised.stop(30.0)
    assert (tmp_path / "other.log").read_text() == "ready\nNone\n"


def test_stopping_before_the_start_is_no_error(leases: Leases) -> None:
    Supervisor(leases).stop(0.0)

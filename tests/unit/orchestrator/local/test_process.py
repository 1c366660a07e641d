"""A child process is ours alone: its group, its log, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.local.process import Child
from tests.eventually import eventually

FOREVER = "import signal; signal.pause()"
_is_interrupted = threading.Event()  # by each fork, in a hook
os.register_at_fork(
    after_in_parent=lambda: signal.raise_signal(signal.SIGINT) if _is_interrupted.is_set() else None
)


def started(tmp_path: Path, code: str, stdin: bytes | None = None) -> Child:
    return Child("child", [sys.executable, "-c", code], tmp_path / "log", dict(os.environ), stdin)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_its_output_is_in_its_log(tmp_path: Path) -> None:
    child = started(tmp_path, "import sys; print('out'); print('err', file=sys.stderr)")
    assert child.wait(30.0)
    assert child.exit_status == 0
    assert set(child.log_path.read_text().split()) == {"out", "err"}


def test_a_log_is_added_to(tmp_path: Path) -> None:
    for _ in range(2):
        assert started(tmp_path, "print('again')").wait(30.0)
    assert (tmp_path / "log").read_text() == "again\nagain\n"


def test_it_is_given_its_input(tmp_path: Path) -> None:
    child = started(tmp_path, "print(input())", stdin=b"hello\n")
    assert child.wait(30.0)
    assert child.log_path.read_text() == "hello\n"


def test_an_interrupt_while_it_is_started_is_not_lost(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    _is_interrupted.set()
    try:
        with pytest.raises(KeyboardInterrupt):
            started(tmp_path, "pass")
    finally:
        _is_interrupted.clear()
    assert signal.getsignal(signal.SIGINT) is before


def test_while_it_runs_it_has_no_exit_status(tmp_path: Path) -> None:
    child = started(tmp_path, FOREVER)
    assert child.exit_status is None
    assert not child.wait(0.0)
    child.kill()
    assert child.exit_status == -signal.SIGKILL


def test_it_is_asked_to_end(tmp_path: Path) -> None:
    child = started(tmp_path, FOREVER)
    child.terminate()
    assert child.wait(30.0)
    assert child.exit_status == -signal.SIGTERM
    child.terminate()  # gone already, which is no error


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, signal\n"
        f"print(subprocess.Popen([sys.executable, '-c', {FOREVER!r}]).pid, flush=True)\n"
        "signal.pause()"
    )
    child = started(tmp_path, code)
    assert eventually(lambda: child.log_path.read_text().endswith("\n"))
    grandchild = int(child.log_path.read_text())
    child.kill()
    assert eventually(lambda: not is_alive(grandchild))
    child.signal_group(signal.SIGKILL)  # no process is left, which is no error


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys, signal\n"
        "from pathlib import Path\n"
        "from orchestrator.local.process import Child\n"
        f"child = Child('c', [sys.executable, '-c', {FOREVER!r}], Path(sys.argv[1]), {{}})\n"
        "print(child.pid, flush=True)\n"
        "signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    assert eventually(lambda: not is_alive(pid))

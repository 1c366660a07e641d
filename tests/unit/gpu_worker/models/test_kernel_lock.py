"""A lock that goes with its process, and no lock at all where the file system has none."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import Timeout

from gpu_worker.models.kernel_lock import kernel_lock

HOLDS = """
import sys, time
from pathlib import Path
from gpu_worker.models.kernel_lock import kernel_lock
with kernel_lock(Path(sys.argv[1]), 1.0) as is_held:
    print(is_held, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.lock"


def test_one_process_at_a_time_holds_it_and_a_killed_one_holds_up_no_other(file: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "True\n"
        with pytest.raises(Timeout), kernel_lock(file, 0.1):
            pass
        other.send_signal(signal.SIGKILL)
    with kernel_lock(file, 0.1) as is_held:
        assert is_held


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP], ids=os.strerror)
def test_without_the_kernel_s_locks_there_is_none_and_no_file_says_otherwise(
    file: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", flock)
    with kernel_lock(file, 0.1) as first, kernel_lock(file, 0.1) as second:
        assert not first and not second
        assert file.read_bytes() == b""


def test_a_place_that_takes_no_files_is_told(file: Path) -> None:
    file.touch()
    with pytest.raises((FileExistsError, NotADirectoryError)), kernel_lock(file / "lock", 0.1):
        pass

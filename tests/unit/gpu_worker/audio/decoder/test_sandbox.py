"""A process that has bounded itself stays inside; each test bounds a child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_worker.audio.decoder.sandbox import Seal, possible_seal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bounds are Linux's")


def confined(code: str, memory: int = 2**30, output: int = 2**20, cpu: float = 60.0) -> str:
    """What a bounded child prints."""
    ended = run(code, memory, output, cpu)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def run(
    code: str, memory: int = 2**30, output: int = 2**20, cpu: float = 60.0
) -> subprocess.CompletedProcess[str]:
    lines = (
        "import resource, sys",
        "from gpu_worker.audio.decoder.sandbox import allow_cpu_seconds, confine, die_with_parent",
        f"confine({memory}, {output}, {cpu})",
        code,
    )
    command = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_more_memory_than_allowed_is_not_given() -> None:
    code = "try:\n    bytearray(2**31)\nexcept MemoryError:\n    print('refused')"
    assert confined(code) == "refused"


def test_a_file_larger_than_allowed_is_an_error_and_no_signal(tmp_path: Path) -> None:
    code = (
        f"file = open({str(tmp_path / 'file')!r}, 'wb', buffering=0)\n"
        "file.write(bytes(1000))\n"
        "try:\n    file.write(bytes(1))\nexcept OSError as error:\n    print(error.errno)"
    )
    assert confined(code, output=1000) == "27"  # EFBIG


@pytest.mark.slow
def test_too_much_processor_time_is_a_signal_that_says_so() -> None:
    ended = run("allow_cpu_seconds(0.5)\nwhile True:\n    pass")
    assert ended.returncode == -signal.SIGXCPU


def test_processor_time_can_be_earned_up_to_the_bound() -> None:
    code = (
        "allow_cpu_seconds(7)\nfirst = resource.getrlimit(resource.RLIMIT_CPU)\n"
        "allow_cpu_seconds(1e6)\nprint(*first, *resource.getrlimit(resource.RLIMIT_CPU))"
    )
    assert confined(code, cpu=20) == "7 25 25 25"


def test_many_open_files_are_refused() -> None:
    code = "try:\n    [open('/dev/null') for _ in range(99)]\nexcept OSError:\n    print('refused')"
    assert confined(code) == "refused"


def test_a_child_whose_parent_is_gone_already_ends() -> None:
    assert run("die_with_parent(1)\nprint('alive')").returncode == 1
    assert confined("import os; die_with_parent(os.getppid()); print('alive')") == "alive"


def test_a_bound_that_was_set_before_is_not_raised() -> None:
    code = "confine(2**40, 2**40, 1e9)\nprint(resource.getrlimit(resource.RLIMIT_AS)[0])"
    assert confined(code, memory=2**29) == str(2**29)
    assert os.getpid()  # this process has no bounds


def test_a_hidden_process_cannot_be_read_by_another_of_its_user() -> None:
    """The user is one without rights: root reads everything."""
    code = (
        "import os, subprocess, sys\n"
        "from gpu_worker.audio.decoder.sandbox import hide_memory\n"
        "if os.getuid() == 0:\n    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "    import ctypes; ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n"
        "look = 'cat /proc/%d/environ > /dev/null 2>&1' % os.getpid()\n"
        "print(subprocess.run(look, shell=True).returncode)\n"
        "hide_memory()\n"
        "print(subprocess.run(look, shell=True).returncode)"
    )
    assert confined(code).split() == ["0", "1"]


def test_what_the_kernel_lacks_has_a_name() -> None:
    assert Seal(7, True).lacking == ()
    assert Seal(0, True).lacking == ("landlock",)
    assert Seal(0, False).lacking == ("landlock", "seccomp")
    assert set(possible_seal().lacking) <= {"landlock", "seccomp"}

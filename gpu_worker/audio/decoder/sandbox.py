"""Bounds that a process puts on itself before it reads a stranger's file.

Called once, in the child that decodes. Knows nothing of the file. The programs of a local cluster
use `die_with_parent` too.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_OPEN_FILES = 32  # lazily loaded modules need a few; numbers that are open already stay open
_GRACE_SECONDS = 5  # between the signal that says why and the one that kills


def die_with_parent(parent: int) -> None:
    """Let Linux kill this process when `parent`, its parent process, ends; end it if it has ended.

    Other systems have no such call; there only the second is done.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def confine(memory_bytes: int, output_bytes: int, cpu_seconds: float) -> None:
    """Bound address space, size of any written file, total processor time; no core dumps."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # EFBIG can be reported, a signal cannot
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, output_bytes)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _lower(resource.RLIMIT_CPU, math.ceil(cpu_seconds) + _GRACE_SECONDS)


def allow_cpu_seconds(seconds: float) -> None:
    """Let the system send SIGXCPU once this process has used `seconds` of processor time in all."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_smaller(math.ceil(seconds), hard), hard))


def _lower(limit: int, value: int) -> None:
    """Set the soft and the hard limit, never above the hard limit that was inherited."""
    _, hard = resource.getrlimit(limit)
    value = _smaller(value, hard)
    resource.setrlimit(limit, (value, value))


def _smaller(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)

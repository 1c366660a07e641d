"""Bounds that a process puts on itself before it touches a stranger's bytes.

Called once, in the child that decodes. Nothing here knows what will be read.
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
    """Be killed when the process `parent`, our parent, ends. Other systems than Linux: nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before we asked
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
    """SIGXCPU once this process has used so much processor time in all."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_smaller(math.ceil(seconds), hard), hard))


def _lower(limit: int, value: int) -> None:
    """Soft and hard at once, never above what we were given."""
    _, hard = resource.getrlimit(limit)
    value = _smaller(value, hard)
    resource.setrlimit(limit, (value, value))


def _smaller(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)

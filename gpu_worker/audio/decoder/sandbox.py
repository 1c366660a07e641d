"""Bounds that a process puts on itself before it reads a stranger's file.

Called in the child that decodes: `confine` bounds what it may use, and `seal` then denies it all
but its open files. Knows nothing of the file. A worker and the programs of a local cluster use
`die_with_parent` and `hide_memory` too.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
from dataclasses import dataclass

from gpu_worker.audio.decoder.landlock import deny_paths, landlock_version
from gpu_worker.audio.decoder.seccomp import deny_calls, has_seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38  # linux/prctl.h
_OPEN_FILES = 32  # lazily loaded modules need a few; numbers that are open already stay open
_GRACE_SECONDS = 5  # between the signal that says why and the one that kills


@dataclass(frozen=True, slots=True)
class Seal:
    """What the kernel has to isolate a process with."""

    landlock: int  # its version; 0: none
    seccomp: bool

    @property
    def lacking(self) -> tuple[str, ...]:
        """Names of what the kernel has not."""
        found = {"landlock": self.landlock > 0, "seccomp": self.seccomp}
        return tuple(name for name, is_there in found.items() if not is_there)


def die_with_parent(parent: int) -> None:
    """Let Linux kill this process when `parent`, its parent process, ends; end it if it has ended.

    Other systems have no such call; there only the second is done.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def hide_memory() -> None:
    """Keep this process's memory and environment from other processes of its user (Linux).

    They cannot read /proc/PID/environ and /proc/PID/mem, nor attach a debugger, unless they are
    root's. No core is dumped. Children that are forked inherit it; a program that is executed
    starts without.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


def confine(memory_bytes: int, output_bytes: int, cpu_seconds: float) -> None:
    """Bound address space, size of any written file, total processor time; no core dumps."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # EFBIG can be reported, a signal cannot
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, output_bytes)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _lower(resource.RLIMIT_CPU, math.ceil(cpu_seconds) + _GRACE_SECONDS)


def seal() -> Seal:
    """Deny this process all but its open files, for ever; return what the kernel could do.

    No file by its path, no network, no other process, no program, no thread. Import and open what
    is needed before. On a kernel without landlock and seccomp what remains denied is root's rights
    of programs (`sudo`), other processes' look at this one's memory, and for users other than root
    new processes.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    hide_memory()
    _lower(resource.RLIMIT_NPROC, 0)
    return Seal(deny_paths(), deny_calls())


def possible_seal() -> Seal:
    """Return what this kernel has; change nothing."""
    return Seal(landlock_version(), has_seccomp())


def allow_cpu_seconds(seconds: float) -> None:
    """Let the system send SIGXCPU once this process has used `seconds` of processor time in all."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_smaller(math.ceil(seconds), hard), hard))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3)


def _lower(limit: int, value: int) -> None:
    """Set the soft and the hard limit, never above the hard limit that was inherited."""
    _, hard = resource.getrlimit(limit)
    value = _smaller(value, hard)
    resource.setrlimit(limit, (value, value))


def _smaller(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)

"""Allow this process the few system calls that decoding needs, and no others: Linux's seccomp.

The filter is a program of classic BPF that the kernel runs at each call. A call that is not listed
fails with EPERM: there is no socket, no file by name, no process, no thread, no signal to others.
A call of another machine's numbers (32 bits on x86-64) kills the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_ALL_THREADS = 1  # SECCOMP_FILTER_FLAG_TSYNC
_KILL, _FAIL, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000  # SECCOMP_RET_KILL_PROCESS, …
_LOAD, _RETURN = 0x20, 0x06  # BPF_LD+BPF_W+BPF_ABS, BPF_RET+BPF_K
_IF_EQUAL, _IF_ANY_BIT = 0x15, 0x45  # BPF_JMP+BPF_JEQ+BPF_K, BPF_JMP+BPF_JSET+BPF_K
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16  # offsets in `struct seccomp_data`

_EXECUTABLE = 4  # PROT_EXEC
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC. Not F_SETOWN, which signals any process.
_OF_DESCRIPTORS = (0, 1, 2, 3, 1030)


@dataclass(frozen=True, slots=True)
class _Argument:
    """What the lower half of one argument of a call must be."""

    index: int
    one_of: tuple[int, ...] = ()
    without: int = 0  # bits; counts if `one_of` is empty


_OWN = _Argument(0, one_of=(0,))  # a process id: 0 is the caller
_DATA = _Argument(2, without=_EXECUTABLE)

# The numbers on x86-64 and on aarch64; the most frequent calls first.
_CALLS: dict[str, tuple[tuple[int, int], _Argument | None]] = {
    "pread64": ((17, 67), None),
    "write": ((1, 64), None),
    "read": ((0, 63), None),
    "lseek": ((8, 62), None),
    "brk": ((12, 214), None),
    "mmap": ((9, 222), _DATA),
    "munmap": ((11, 215), None),
    "mremap": ((25, 216), None),
    "mprotect": ((10, 226), _DATA),
    "madvise": ((28, 233), None),
    "futex": ((202, 98), None),
    "readv": ((19, 65), None),
    "writev": ((20, 66), None),
    "close": ((3, 57), None),
    "dup": ((32, 23), None),
    "fstat": ((5, 80), None),  # by descriptor; `newfstatat` could take a path
    "fcntl": ((72, 25), _Argument(1, one_of=_OF_DESCRIPTORS)),
    "clock_gettime": ((228, 113), None),
    "clock_nanosleep": ((230, 115), None),
    "gettimeofday": ((96, 169), None),
    "getrandom": ((318, 278), None),
    "getpid": ((39, 172), None),
    "gettid": ((186, 178), None),
    "getrusage": ((98, 165), None),
    "getrlimit": ((97, 163), None),
    "setrlimit": ((160, 164), None),
    "prlimit64": ((302, 261), _OWN),
    "sched_getaffinity": ((204, 123), _OWN),
    "sched_yield": ((24, 124), None),
    "rt_sigaction": ((13, 134), None),
    "rt_sigprocmask": ((14, 135), None),
    "rt_sigreturn": ((15, 139), None),
    "sigaltstack": ((131, 132), None),
    "restart_syscall": ((219, 128), None),
    "exit": ((60, 93), None),
    "exit_group": ((231, 94), None),
}


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int  # linux/audit.h
    seccomp: int  # the number of the call `seccomp`
    column: int  # of `_CALLS`


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 317, 0),
    "aarch64": _Machine(0xC00000B7, 277, 1),
}


def has_seccomp() -> bool:
    """Return whether the kernel has filters of calls, and we know this machine's numbers."""
    machine = _machine()
    if machine is None:
        return False
    library = ctypes.CDLL(None, use_errno=True)
    action = ctypes.byref(ctypes.c_uint32(_FAIL))
    return int(library.syscall(machine.seccomp, _GET_ACTION_AVAIL, 0, action)) == 0


def deny_calls() -> bool:
    """Deny all system calls that decoding does not need; return False if the kernel cannot.

    The process must have given up new privileges before (PR_SET_NO_NEW_PRIVS).
    """
    machine = _machine()
    if machine is None:
        return False
    program = b"".join(_program(machine))
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, and their address.
    head = ctypes.create_string_buffer(
        struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    )
    library = ctypes.CDLL(None, use_errno=True)
    return int(library.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, head)) == 0


def _machine() -> _Machine | None:
    is_known = sys.platform == "linux" and sys.maxsize > 2**32
    return _MACHINES.get(os.uname().machine) if is_known else None


def _program(machine: _Machine) -> Iterator[bytes]:
    """Yield the instructions of the filter."""
    yield _instruction(_LOAD, _MACHINE)
    yield _instruction(_IF_EQUAL, machine.audit, then=1)
    yield _instruction(_RETURN, _KILL)
    yield _instruction(_LOAD, _NUMBER)
    for numbers, argument in _CALLS.values():
        body = tuple(_body(argument))
        yield _instruction(_IF_EQUAL, numbers[machine.column], otherwise=len(body))
        yield from body
    yield _instruction(_RETURN, _FAIL | errno.EPERM)


def _body(argument: _Argument | None) -> Iterator[bytes]:
    """Yield the instructions for one call that is listed."""
    if argument is not None:
        yield _instruction(_LOAD, _ARGUMENTS + 8 * argument.index)
        left = len(argument.one_of)
        for value in argument.one_of:
            yield _instruction(_IF_EQUAL, value, then=left)
            left -= 1
        if not argument.one_of:
            yield _instruction(_IF_ANY_BIT, argument.without, otherwise=1)
        yield _instruction(_RETURN, _FAIL | errno.EPERM)
    yield _instruction(_RETURN, _ALLOW)


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """Return a `struct sock_filter`; `then` and `otherwise` are instructions to jump over."""
    return struct.pack("=HBBI", code, then, otherwise, value)

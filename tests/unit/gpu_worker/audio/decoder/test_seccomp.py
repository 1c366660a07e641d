"""The filter of system calls, as a program and in a child that gives them up."""

from __future__ import annotations

import errno
import struct
import subprocess
import sys
from collections.abc import Mapping

import pytest

from gpu_worker.audio.decoder.seccomp import _CALLS, _MACHINES, _program, has_seccomp

ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000


def verdict(
    machine: str,
    number: int,
    arguments: Mapping[int, int] | None = None,
    audit: int | None = None,
) -> int:
    """What the filter says of a call: the program is run here as the kernel runs it."""
    data = bytearray(64)
    struct.pack_into("=II", data, 0, number, audit or _MACHINES[machine].audit)
    for index, value in (arguments or {}).items():
        struct.pack_into("=Q", data, 16 + 8 * index, value)
    program = [struct.unpack("=HBBI", part) for part in _program(_MACHINES[machine])]
    accumulator = at = 0
    while True:
        code, then, otherwise, value = program[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x15:
            at += then if accumulator == value else otherwise
        elif code == 0x45:
            at += then if accumulator & value else otherwise
        else:
            assert code == 0x06
            return int(value)


@pytest.mark.parametrize("machine", sorted(_MACHINES))
def test_a_listed_call_is_allowed_and_every_other_one_is_not(machine: str) -> None:
    column = _MACHINES[machine].column
    plain = {numbers[column] for numbers, argument in _CALLS.values() if argument is None}
    checked = {numbers[column] for numbers, _ in _CALLS.values()} - plain
    for number in set(range(600)) - checked:
        assert verdict(machine, number) == (ALLOW if number in plain else EPERM), number
    assert verdict(machine, 0x40000000) == EPERM  # the numbers of x32


@pytest.mark.parametrize("machine", sorted(_MACHINES))
@pytest.mark.parametrize(
    ("name", "index", "good", "bad"),
    [
        ("mmap", 2, (0, 1, 3), (4, 5, 7)),
        ("mprotect", 2, (0, 1, 3), (4, 5, 7)),
        ("fcntl", 1, (0, 1, 2, 3, 1030), (4, 8, 10, 15, 1024, 1033)),
        ("prlimit64", 0, (0,), (1, 4711)),
        ("sched_getaffinity", 0, (0,), (1, 4711)),
    ],
)
def test_arguments_are_checked(
    machine: str, name: str, index: int, good: tuple[int, ...], bad: tuple[int, ...]
) -> None:
    number = _CALLS[name][0][_MACHINES[machine].column]
    assert {verdict(machine, number, {index: value}) for value in good} == {ALLOW}
    assert {verdict(machine, number, {index: value}) for value in bad} == {EPERM}


def test_a_call_by_the_numbers_of_another_machine_kills() -> None:
    assert verdict("x86_64", 0, audit=0x40000003) == KILL  # 32 bits
    assert verdict("x86_64", 0) == ALLOW


@pytest.mark.skipif(not has_seccomp(), reason="this kernel has no seccomp")
def test_a_process_that_gave_up_its_calls_works_on_and_opens_nothing() -> None:
    code = (
        "from gpu_worker.audio.decoder.sandbox import seal\n"
        "assert seal().seccomp\n"
        "print(sum(range(10**6)))\n"
        "try:\n    open('/dev/null')\nexcept PermissionError as error:\n    print(error.errno)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["499999500000", "1"]

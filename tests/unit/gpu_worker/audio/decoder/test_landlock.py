"""The rules that a process gives itself, by the version of the kernel's landlock."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_worker.audio.decoder.landlock import _attributes, landlock_version


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (1, (0x1FFF,)),
        (2, (0x3FFF,)),
        (3, (0x7FFF,)),
        (4, (0x7FFF, 3)),
        (5, (0xFFFF, 3)),
        (6, (0xFFFF, 3, 3)),
        (9, (0xFFFF, 3, 3)),
    ],
)
def test_all_that_a_version_can_deny_is_denied(version: int, fields: tuple[int, ...]) -> None:
    assert _attributes(version) == struct.pack(f"={len(fields)}Q", *fields)


@pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no landlock")
def test_a_process_under_it_reads_and_writes_no_file_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("secret")
    code = (
        "import ctypes, os, sys\n"
        "from gpu_worker.audio.decoder.landlock import deny_paths\n"
        "ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)\n"
        "held = os.open('canary', os.O_RDONLY)\n"
        "assert deny_paths()\n"
        "for flags in (os.O_RDONLY, os.O_WRONLY | os.O_CREAT):\n"
        "    try:\n        os.open('canary', flags)\n"
        "    except PermissionError:\n        print('denied')\n"
        "print(os.read(held, 9).decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == ["denied", "denied", "secret"]

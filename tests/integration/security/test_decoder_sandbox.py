"""What a hostile file can do that has taken over the decoder: nothing but write wrong samples."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gpu_worker.audio.child import ChildBounds, run_child
from gpu_worker.audio.decoder.sandbox import possible_seal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the isolation is Linux's")

BOUNDS = ChildBounds(wall_seconds=60.0, memory_bytes=1 << 30)
# Without any isolation most succeed, so it is not another reason that stops them.
LEAST_WITHOUT = 50


@pytest.fixture
def given(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What an attacker finds: a parent and a neighbour with secrets, servers, files."""
    for name in ("canary", "victim", "media"):
        (tmp_path / name).write_bytes(b"secret")
    with ExitStack() as stack:
        command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
        victim = stack.enter_context(subprocess.Popen(command, env={"SECRET": "canary"}))
        stack.callback(victim.kill)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        named, abstract = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        named.bind(str(tmp_path / "socket"))
        abstract.bind(f"\0scriptorium-{os.getpid()}")
        for server in (named, abstract):
            server.listen()
        secret = ctypes.create_string_buffer(b"secret", 8)
        folder = os.open(tmp_path, os.O_RDONLY)
        stack.callback(os.close, folder)
        media = stack.enter_context((tmp_path / "media").open("rb")).fileno()
        yield {
            "parent": os.getpid(),
            "victim": victim.pid,
            "directory": str(tmp_path),
            "address": ctypes.addressof(secret),
            "media": media,
            "folder": folder,
            "port": tcp.getsockname()[1],
            "unix": str(tmp_path / "socket"),
            "abstract": f"scriptorium-{os.getpid()}",
        }
        assert secret.value in (b"secret", b"")


def attacked(
    given: dict[str, Any], *without: str, is_open: bool = False, uid: int | None = None
) -> dict[str, Any]:
    """The report of the attacker, isolated as the decoder is but for the layers in `without`."""
    request = given | {"without": without, "open": is_open, "uid": uid}
    files = (given["media"], given["folder"])
    program = "tests.integration.security.attacks"
    report: dict[str, Any] = json.loads(run_child(program, request, files, BOUNDS))
    print(without, "open" if is_open else "isolated", uid, json.dumps(report))
    return report


def needs(*layers: str) -> None:
    """Skip on a kernel that lacks one of them."""
    if missing := set(layers) & set(possible_seal().lacking):
        pytest.skip(f"this kernel lacks {', '.join(missing)}")


def test_no_attack_succeeds_in_the_decoder_s_place(given: dict[str, Any]) -> None:
    needs("landlock", "seccomp")
    report = attacked(given)
    assert report["succeeded"] == []
    assert report["tried"] > 90


def test_no_attack_succeeds_by_seccomp_alone(given: dict[str, Any]) -> None:
    needs("seccomp")
    assert attacked(given, "landlock")["succeeded"] == []


def test_landlock_alone_keeps_files_and_other_processes_closed(given: dict[str, Any]) -> None:
    needs("landlock")
    succeeded = set(attacked(given, "seccomp")["succeeded"])
    assert not succeeded & {
        "open a file", "write to a file", "make a file", "remove", "list a directory",
        "read the parent's environment", "open the parent's memory", "read the parent's memory",
        "write the parent's memory", "attach to the victim",
    }  # fmt: skip


def test_without_the_isolation_the_attacks_are_real(given: dict[str, Any]) -> None:
    report = attacked(given, is_open=True)
    assert len(report["succeeded"]) >= LEAST_WITHOUT
    assert {"open a file", "read the parent's command", "fork", "connect by TCP"} <= set(
        report["succeeded"]
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_on_a_kernel_with_neither_a_user_without_rights_starts_no_process(
    given: dict[str, Any],
) -> None:
    succeeded = set(attacked(given, "landlock", "seccomp", uid=65534)["succeeded"])
    assert not succeeded & {"fork", "fork out of the group", "start a thread", "start a program"}

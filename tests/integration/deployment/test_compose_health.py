"""The health check of compose.yaml in a PID namespace: a process that hangs is ended by it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.local.redis_server import RedisServer
from tests.deployment.compose import read_compose
from tests.eventually import eventually

FIRST = '"$@" & wait $!; exit $?'  # as tini: it ends when its child does, with the same status
BEATING = (
    "import sys, time; from pathlib import Path; from tasks.telemetry.heartbeat import Heartbeat\n"
    "beating = Heartbeat(Path(sys.argv[1]))\n"
    "while True: beating.beat(); time.sleep(0.2)"
)
OF_A_KILLED_ONE = 128 + signal.SIGKILL
SERVICES = ("api", "reconciler", "cpu-worker", "gpu-worker", "gpu-worker-on-cpu")


def why_impossible() -> str | None:
    """Why there can be no PID namespace here, if so."""
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, check=False
    )
    return "PID namespaces cannot be made here: root may" if done.returncode else None


pytestmark = pytest.mark.skipif(bool(why_impossible()), reason=str(why_impossible()))


@dataclass(frozen=True)
class Box:
    """A PID namespace with a first process and its child."""

    process: subprocess.Popen[bytes]  # `unshare`, which ends as the first process does
    heartbeat: Path

    @property
    def first(self) -> int:
        (pid,) = children(self.process.pid)
        return pid

    def check(self) -> int:
        """Run the health check in there, as Docker does; return its status."""
        words = read_compose()["services"]["gpu-worker"]["healthcheck"]["test"][1:]
        command = ["nsenter", f"--target={self.first}", "--pid", "--mount", "--", *words]
        environment = os.environ | {"SCRIPTORIUM_HEARTBEAT_FILE": str(self.heartbeat)}
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=30, check=False
        )
        return done.returncode

    def age(self, minutes: float) -> None:
        """Let the last beat be so long ago."""
        old = time.time() - 60 * minutes
        os.utime(self.heartbeat, (old, old))


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


@contextmanager
def box(words: Sequence[str], heartbeat: Path, **told: str) -> Iterator[Box]:
    """Start the words in a namespace, with nothing of it left afterwards."""
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", FIRST, "sh"]
    process = subprocess.Popen(
        [*apart, *words],
        env=os.environ | told,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Box(process, heartbeat)
    finally:
        process.kill()
        process.wait()


def check_life(own: Box) -> None:
    """A process beats, hangs and is ended, in the time of the check."""
    assert eventually(own.heartbeat.exists, 60.0) and own.check() == 0
    (child,) = children(own.first)
    os.kill(child, signal.SIGSTOP)
    own.age(minutes=1)
    assert own.check() == 0
    own.age(minutes=8.5)
    assert own.check() == 1 and own.process.poll() is None, "unhealthy, but it may recover"
    own.age(minutes=11)
    assert own.check() != 0
    assert own.process.wait(10.0) == OF_A_KILLED_ONE  # which `restart:` starts again


def test_a_process_that_hangs_is_ended_by_its_health_check(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    with box([sys.executable, "-c", BEATING, str(path)], path) as own:
        check_life(own)


def test_a_process_that_has_not_begun_to_beat_is_left_alone(tmp_path: Path) -> None:
    with box(["sleep", "60"], tmp_path / "heartbeat") as own:
        assert eventually(lambda: bool(children(own.process.pid)))
        assert own.check() == 1
        time.sleep(0.5)
        assert own.process.poll() is None


@pytest.mark.heavy
def test_a_worker_that_hangs_is_ended_by_its_health_check(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    path = tmp_path / "heartbeat"
    told = {
        "REDIS_URL": redis.url,
        "SCRIPTORIUM_STORE_URL": (tmp_path / "store").as_uri(),
        "SCRIPTORIUM_MODEL": "pico",
        "SCRIPTORIUM_DEVICE": "cpu",
        "SCRIPTORIUM_HEARTBEAT_FILE": str(path),
    }
    program = str(Path(sys.executable).with_name("scriptorium"))
    try:
        with box([program, "worker", "--pool", "gpu", "--threads", "1"], path, **told) as own:
            check_life(own)
    finally:
        redis.stop()


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_that_check_and_is_started_again(name: str) -> None:
    services = read_compose()["services"]
    assert services[name]["healthcheck"] == services["gpu-worker"]["healthcheck"]
    assert services[name]["restart"] == "unless-stopped" and services[name]["init"] is True
    assert "pid" not in services[name]  # the check ends all processes that it sees

"""The commands of the systemd units as plain processes, and what systemd hears of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.local.redis_server import RedisServer
from tests.deployment.systemd import UNITS, command_of, read_unit, variables_of
from tests.eventually import eventually
from tests.integration.process_group import process_group
from tests.servers.notify_socket import Told, listening

SILENT_SECONDS = 5.0  # more than twice the pause between beats
PATIENCE_SECONDS = 60.0
heavy = pytest.mark.heavy


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What /etc/scriptorium/scriptorium.env says here: a Redis, a store, no GPU."""
    place = tmp_path_factory.mktemp("systemd")
    redis = RedisServer(place)
    redis.start()
    yield {
        "REDIS_URL": redis.url,
        "SCRIPTORIUM_STORE_URL": (place / "store").as_uri(),
        "SCRIPTORIUM_MODEL": "pico",
        "SCRIPTORIUM_DEVICE": "cpu",
        "SCRIPTORIUM_MODEL_DIR": str(place / "models"),
        "SCRIPTORIUM_WORK_DIR": str(place / "scratch"),
        "SCRIPTORIUM_NOTICE_SECONDS": "10",
        "SCRIPTORIUM_API_PORT": "0",
        "HOME": str(place),
    }
    redis.stop()


@contextmanager
def started(
    name: str, told: dict[str, str], socket: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A unit's command with its variables, and those of files of variables, which win."""
    unit = read_unit(UNITS / f"{name}.service")
    program = str(Path(sys.executable).with_name("scriptorium"))
    words = command_of(unit, program, {"%i": "0"})
    without = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    own = {**without, **variables_of(unit), **told, "NOTIFY_SOCKET": str(socket)}
    with process_group(words, own, log) as process:
        yield process


def heard(told: Told, state: str, seconds: float = PATIENCE_SECONDS) -> list[str]:
    """What was told until the state came."""
    states: list[str] = []

    def has_come() -> bool:
        states.extend(told())
        return state in states

    eventually(has_come, seconds)
    return states


@pytest.mark.parametrize(
    "name",
    [
        "scriptorium-gpu-worker@",
        *(
            pytest.param(f"scriptorium-{name}", marks=heavy)
            for name in ("cpu-worker", "reconciler", "api")
        ),
    ],
)
def test_a_service_says_that_it_is_ready_alive_hung_and_stopping(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with (
        listening(tmp_path / "notify") as told,
        started(name, environment, tmp_path / "notify", log) as process,
    ):
        states = heard(told, "READY=1")
        assert states[:1] == ["READY=1"], (states, log.read_text())
        if "worker" in name:
            # Celery sends its signal, then writes the line. Before, queues were still to be opened.
            assert "Connected to redis" in log.read_text(), "it was ready before it could take work"
            assert eventually(lambda: "ready." in log.read_text())
        assert "WATCHDOG=1" in [*states, *heard(told, "WATCHDOG=1")]
        assert "WATCHDOG=1" in heard(told, "WATCHDOG=1")

        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        told()
        time.sleep(SILENT_SECONDS)
        assert told() == [], "a process that hangs is not alive"
        process.send_signal(signal.SIGCONT)
        assert "WATCHDOG=1" in heard(told, "WATCHDOG=1")

        process.terminate()
        assert "STOPPING=1" in heard(told, "STOPPING=1")
        assert process.wait(PATIENCE_SECONDS) in (0, -signal.SIGTERM), log.read_text()


@heavy
def test_a_worker_whose_gpu_cannot_be_used_is_never_ready(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """As the unit says it: on `cuda`, and this machine has none."""
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    without = {key: value for key, value in environment.items() if key != "SCRIPTORIUM_DEVICE"}
    with (
        listening(tmp_path / "notify") as told,
        started("scriptorium-gpu-worker@", without, tmp_path / "notify", tmp_path / "log") as own,
    ):
        assert own.wait(PATIENCE_SECONDS) not in (0, 2)  # systemd starts it again
        assert "READY=1" not in told()

"""The file that says that a process does its work: real workers, the reconciler's loop, pollers."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from redis.exceptions import ConnectionError as RedisAway

from config.settings import Settings
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.local.workers import WorkerSpec, worker_command, worker_environment
from orchestrator.reconciler import Reconciler
from orchestrator.reconciler.leading import Leading
from tasks.runs.stages import Pool
from tasks.telemetry import heartbeat
from tasks.telemetry.heartbeat import Heartbeat
from tests.eventually import eventually
from tests.servers.notify_socket import listening


def touched(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def test_a_beat_touches_the_file(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    Heartbeat(path).beat()
    assert path.exists()
    os.utime(path, (1, 1))
    Heartbeat(path).beat()
    assert touched(path) > 1


def test_beats_close_together_are_one(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    beating = Heartbeat(path)
    beating.beat()
    os.utime(path, (1, 1))
    beating.beat()
    assert touched(path) == 1


def test_what_an_earlier_process_left_does_not_speak_for_this_one(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    path.touch()
    beating = Heartbeat(path)
    assert not path.exists()
    beating.beat()
    assert path.exists()


def test_systemd_hears_once_that_it_is_ready_and_at_each_beat_that_it_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "LEAST_SECONDS", 0.0)
    with listening(tmp_path / "notify") as told:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        beating = Heartbeat(None)
        assert told() == []
        beating.beat()
        beating.beat()
        assert told() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]


def test_without_a_file_there_is_no_heartbeat() -> None:
    Heartbeat(None).beat()


def test_a_file_that_cannot_be_touched_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "LEAST_SECONDS", 0.0)
    beating = Heartbeat(tmp_path / "none" / "alive")
    beating.beat()
    beating.beat()
    (tmp_path / "none").mkdir()
    beating.beat()
    assert (tmp_path / "none" / "alive").exists()


@contextmanager
def worker(settings: Settings, kind: Pool, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real one, in a process group that is gone afterwards."""
    spec = WorkerSpec(f"{kind.value}@heartbeat-{os.getpid()}", kind)
    environment = worker_environment(spec, settings, os.environ, takes_over=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            worker_command(spec),
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(Pool))
def test_the_file_of_a_worker_that_hangs_gets_old(
    connection: Cluster, settings: Settings, tmp_path: Path, kind: Pool
) -> None:
    path = tmp_path / "alive"
    values = settings.model_copy(update={"heartbeat_file": path, "metrics_port": 0})
    with worker(values, kind, tmp_path / "log") as process:
        assert eventually(path.exists), (tmp_path / "log").read_text()
        first = touched(path)
        assert eventually(lambda: touched(path) > first)
        os.kill(process.pid, signal.SIGSTOP)
        assert eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        os.utime(path, (1, 1))
        time.sleep(5)  # more than twice the pause between heartbeats
        assert touched(path) == 1
        os.kill(process.pid, signal.SIGCONT)
        assert eventually(lambda: touched(path) > 1)


def test_the_reconciler_beats_at_each_pass(settings: Settings, tmp_path: Path) -> None:
    with reconciling(settings, tmp_path / "alive"):
        assert eventually((tmp_path / "alive").exists)


def test_a_reconciler_that_waits_for_redis_is_alive(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Leading) -> bool:
        raise RedisAway("it is away")

    monkeypatch.setattr(Leading, "take", fail)
    with reconciling(settings, tmp_path / "alive"):
        assert eventually((tmp_path / "alive").exists)


def test_a_reconciler_that_only_fails_is_not(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []

    def fail(_: Leading) -> bool:
        passes.append(1)
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Leading, "take", fail)
    with reconciling(settings, tmp_path / "alive"):
        assert eventually(lambda: len(passes) > 3)
    assert not (tmp_path / "alive").exists()


@contextmanager
def reconciling(settings: Settings, path: Path) -> Iterator[None]:
    """A reconciler's loop in a thread."""
    changes = {"heartbeat_file": path, "reconcile_seconds": 0.05}
    connection = open_cluster(settings.model_copy(update=changes))
    stop = threading.Event()
    thread = threading.Thread(target=Reconciler(connection).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        connection.close()

"""What a worker tells of itself: its pool, its state, its device, and who shares its card."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from structlog.testing import capture_logs

from config.settings import Settings
from orchestrator.cluster.connection import Cluster
from orchestrator.local.workers import WorkerSpec, worker_command, worker_environment
from tasks.execution import presence as module
from tasks.execution.card_users import note_users, users_of_card
from tasks.execution.presence import Telling
from tasks.runs.stages import Pool
from tasks.state.presence import Presence, Presences, State
from tests.eventually import PATIENCE_SECONDS, eventually


class Worker:
    """What a worker tells, and the units that it has."""

    def __init__(self, redis: Redis, name: str, pool: str = "mig", *, has_models: bool = True):
        self.units = 0
        self.presences = Presences(redis)
        self.telling = Telling(
            self.presences,
            name,
            Settings(worker_pool=pool, device="cuda"),
            has_models=has_models,
            units=lambda: self.units,
        )

    def told(self) -> Presence:
        self.telling.tell()
        return self.presences.read(time.time())[self.telling._name]


@pytest.fixture(autouse=True)
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU that all workers see."""
    monkeypatch.setattr(module, "used_card", lambda wanted: "cpu" if wanted == "cpu" else "H200")
    monkeypatch.setattr(module, "used_uuid", lambda wanted: None if wanted == "cpu" else "GPU-1")
    monkeypatch.setattr(module, "TELL_SECONDS", 0.01)
    yield
    note_users(1)


def test_a_worker_is_idle_then_busy_and_then_stopping_until_it_has_ended(redis: Redis) -> None:
    worker = Worker(redis, "gpu@one")
    assert (worker.told().pool, worker.told().state) == ("mig", State.IDLE)
    worker.units = 2
    assert worker.told().state is State.BUSY
    worker.telling.stop()
    assert worker.told().state is State.STOPPING
    worker.telling.end()
    assert worker.presences.read(time.time()) == {}


def test_a_worker_whose_clock_is_wrong_is_there_all_the_same(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, right = Worker(redis, "gpu@one"), time.time()
    monkeypatch.setattr(time, "time", lambda: right - 3600.0)
    worker.telling.tell()
    assert list(worker.presences.read(right)) == ["gpu@one"]


def test_a_worker_without_models_computes_on_the_cpu(redis: Redis) -> None:
    assert Worker(redis, "gpu@one").told().device == "cuda"
    worker = Worker(redis, "cpu@one", "", has_models=False)
    assert (worker.told().pool, worker.told().device) == ("cpu", "cpu")
    assert Worker(redis, "gpu@two", "").told().pool == "gpu"


def test_a_worker_notes_how_many_are_busy_on_its_card(redis: Redis) -> None:
    first, second = Worker(redis, "gpu@one"), Worker(redis, "gpu@two")
    first.units = second.units = 1
    for worker in (first, second):
        worker.telling.tell()
    assert users_of_card() == 2
    second.units = 0
    for worker in (second, first):
        worker.telling.tell()
    assert users_of_card() == 1


def test_the_end_waits_for_no_silent_redis_that_is_just_told(redis: Redis) -> None:
    worker = Worker(redis, "gpu@one")
    worker.telling.tell()
    with worker.telling._turn:  # as a thread that waits for an answer
        worker.telling.end()  # else it would wait for ever
    assert not worker.presences.read(time.time())


def test_it_tells_by_itself_while_the_loop_of_the_worker_beats(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(redis, "gpu@one")
    worker.telling.begin()
    assert eventually(lambda: bool(worker.presences.read(time.time())))
    monkeypatch.setattr(module, "GONE_SECONDS", 0.0)  # the loop hangs
    with worker.telling._turn:  # nothing is just told
        worker.presences.forget("gpu@one")
    time.sleep(0.05)
    assert worker.presences.read(time.time()) == {}
    worker.telling.stop()  # it ends: its loop has stopped, its units go on
    assert eventually(lambda: bool(worker.presences.read(time.time())))
    worker.telling.end()


def test_a_redis_that_is_away_is_said_once_and_ends_nothing(no_redis: Redis) -> None:
    worker = Worker(no_redis, "gpu@one")
    with capture_logs() as lines:
        worker.telling.begin()
        assert eventually(lambda: bool(lines))
        time.sleep(0.05)
        worker.telling.end()
    assert [line["event"] for line in lines] == ["presence_not_told"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(Pool))
def test_a_real_worker_is_there_when_it_is_ready_and_gone_when_it_ends(
    connection: Cluster, settings: Settings, tmp_path: Path, kind: Pool
) -> None:
    name = f"{kind.value}@presence-{os.getpid()}"
    spec = WorkerSpec(name, kind, pool="mig" if kind is Pool.GPU else "")
    values = settings.model_copy(update={"device": "cpu"})
    presences = Presences(connection.redis)
    with (tmp_path / "log").open("wb") as out:
        process = subprocess.Popen(
            worker_command(spec),
            env=worker_environment(spec, values, os.environ, takes_over=True),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        assert eventually(lambda: name in presences.read(time.time())), (
            tmp_path / "log"
        ).read_text()
        told = presences.read(time.time())[name]
        assert (told.pool, told.state, told.device) == (spec.pool or "cpu", State.IDLE, "cpu")
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        assert presences.read(time.time()) == {}
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

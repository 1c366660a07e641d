"""A user of a local cluster is told when no worker can work, with the worker's own reason."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from orchestrator.local import supervisor as module
from orchestrator.local.fitness import WorkersUnfit, check_workers
from orchestrator.local.programs import Program
from orchestrator.local.supervisor import Supervisor
from tasks.execution.fitness import EXIT_UNFIT
from tasks.state.leases import Leases
from tests.eventually import eventually

LINE = json.dumps(
    {
        "event": "worker_unfit",
        "code": "device_fault",
        "reason": "There is no driver.",
        "hint": "Get one.",
    }
)
UNFIT = f"import sys; print('no JSON'); print({LINE!r}); sys.exit({EXIT_UNFIT})"
WAITING = "import time; time.sleep(600)"


@pytest.fixture
def supervisor(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(module, "restart_delay", lambda *_: 0.0)
    supervisor = Supervisor(Leases(redis, 30.0))
    supervisor.start(())
    yield supervisor
    supervisor.stop(0.0)


def add(supervisor: Supervisor, directory: Path, name: str, code: str) -> None:
    supervisor.add(Program(name, (sys.executable, "-c", code), {}, directory / f"{name}.log"))


@pytest.mark.parametrize("name", ["cpu@test", "gpu0@test"])
def test_workers_that_end_as_unfit_each_time_are_reported(
    supervisor: Supervisor, tmp_path: Path, name: str
) -> None:
    add(supervisor, tmp_path, name, UNFIT)
    assert eventually(lambda: name in supervisor.unfit())
    with pytest.raises(WorkersUnfit, match=r"There is no driver\.") as raised:
        check_workers(supervisor)
    assert raised.value.advice.startswith("Get one. ")


def test_one_that_works_is_enough(supervisor: Supervisor, tmp_path: Path) -> None:
    add(supervisor, tmp_path, "gpu0@test", UNFIT)
    add(supervisor, tmp_path, "gpu1@test", WAITING)
    assert eventually(lambda: "gpu0@test" in supervisor.unfit())
    check_workers(supervisor)


def test_a_worker_that_dies_of_something_else_is_not_unfit(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    add(supervisor, tmp_path, "gpu0@test", "import sys; print('died'); sys.exit(1)")
    log = tmp_path / "gpu0@test.log"
    assert eventually(lambda: log.exists() and log.read_text().count("died") > 3)
    assert supervisor.unfit() == {}
    check_workers(supervisor)

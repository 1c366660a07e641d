"""The workers of one machine follow the load, and leave GPUs that fail.

Workers are stood in for by programs that wait.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import RedisError

from orchestrator.cluster.connection import Cluster
from orchestrator.local import fleet as module
from orchestrator.local import workers
from orchestrator.local.fleet import Change, Fleet, next_change
from orchestrator.local.fleet_plan import FleetPlan
from orchestrator.local.placement import Placement
from orchestrator.local.supervisor import Supervisor
from orchestrator.local.workers import WorkerSpec
from orchestrator.scaling.published import PoolLoad, PublishedLoad, StageBacklog, publish
from tasks.runs.stages import Pool, Stage
from tests.eventually import eventually

UNKNOWN_SPEAKER: frozenset[str] = frozenset()
ON_TWO = tuple(WorkerSpec(f"gpu{n}", Pool.GPU, gpu=n % 2) for n in range(4))
CODE = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); signal.pause()"


def running(*numbers: int) -> dict[str, WorkerSpec]:
    return {ON_TWO[n].name: ON_TWO[n] for n in numbers}


def names(change: Change) -> tuple[list[str], list[str]]:
    return [spec.name for spec in change.start], list(change.drain)


@pytest.mark.parametrize(
    ("wanted", "there", "draining", "busy", "start", "drain"),
    [
        (2, (), UNKNOWN_SPEAKER, UNKNOWN_SPEAKER, ["gpu0", "gpu1"], []),
        (3, (1,), UNKNOWN_SPEAKER, UNKNOWN_SPEAKER, ["gpu0", "gpu2"], []),
        (9, (0,), UNKNOWN_SPEAKER, UNKNOWN_SPEAKER, ["gpu1", "gpu2", "gpu3"], []),
        (2, (0, 1), UNKNOWN_SPEAKER, UNKNOWN_SPEAKER, [], []),
        (4, (0,), {"gpu1", "gpu3"}, UNKNOWN_SPEAKER, ["gpu2"], []),
        (1, (0, 1, 2), UNKNOWN_SPEAKER, {"gpu2", "gpu1"}, [], ["gpu0", "gpu2"]),
        (2, (0, 1, 2), UNKNOWN_SPEAKER, UNKNOWN_SPEAKER, [], ["gpu2"]),
        (1, (0, 1, 3), UNKNOWN_SPEAKER, {"gpu0", "gpu1", "gpu3"}, [], ["gpu3", "gpu1"]),
        (0, (0,), UNKNOWN_SPEAKER, {"gpu0"}, [], ["gpu0"]),
    ],
)
def test_free_slots_are_filled_and_idle_workers_go_first(
    wanted: int,
    there: tuple[int, ...],
    draining: set[str],
    busy: set[str],
    start: list[str],
    drain: list[str],
) -> None:
    change = next_change(wanted, ON_TWO, running(*there), draining, busy)
    assert names(change) == (start, drain)


def test_a_worker_whose_slot_is_gone_goes_and_another_slot_takes_its_part() -> None:
    slots = tuple(spec for spec in ON_TWO if spec.gpu == 1)
    change = next_change(2, slots, running(0, 1), UNKNOWN_SPEAKER, {"gpu0"})
    assert names(change) == (["gpu3"], ["gpu0"])


@given(
    wanted=st.integers(0, 6),
    there=st.sets(st.integers(0, 3)),
    draining=st.sets(st.integers(0, 3)),
    busy=st.sets(st.integers(0, 3)),
)
def test_there_are_never_more_processes_than_slots_and_never_an_idle_one_kept_for_a_busy_one(
    wanted: int, there: set[int], draining: set[int], busy: set[int]
) -> None:
    ending = {ON_TWO[n].name for n in draining - there}
    change = next_change(wanted, ON_TWO, running(*there), ending, {ON_TWO[n].name for n in busy})
    started, drained = names(change)
    assert len(set(started) | set(running(*there)) | ending) <= len(ON_TWO)
    assert not set(started) & (set(running(*there)) | ending)
    after = (set(running(*there)) | set(started)) - set(drained)
    free = len(ON_TWO) - len(there) - len(ending)
    assert len(after) == min(wanted, len(there) + free)
    if any(ON_TWO[n].name in drained for n in busy & there):
        assert all(ON_TWO[n].name in drained for n in there - busy)


@pytest.fixture
def _waiting_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "worker_command", lambda spec: [sys.executable, "-c", CODE])


MakeFleet = Callable[..., tuple[Fleet, Supervisor]]


@pytest.fixture
def make_fleet(connection: Cluster, tmp_path: Path, _waiting_workers: None) -> Iterator[MakeFleet]:
    """Fleets with supervisors that run, which end with the test."""
    supervisors: list[Supervisor] = []

    def make(plan: FleetPlan, **options: Any) -> tuple[Fleet, Supervisor]:
        supervisor = Supervisor(connection.leases)
        supervisors.append(supervisor)
        supervisor.start(())
        return Fleet(connection, supervisor, plan, tmp_path, **options), supervisor

    yield make
    for supervisor in supervisors:
        supervisor.stop(0.0)


def tell(connection: Cluster, desired: int, age: float = 0.0, **stages: StageBacklog) -> None:
    pool = PoolLoad(desired, 0.0, 0, 0, 9, stages)
    publish(connection.redis, PublishedLoad(time.time() - age, 0, {}, {"gpu": pool}))


@pytest.mark.slow
def test_the_fleet_follows_what_is_published_within_its_limits(
    make_fleet: MakeFleet, connection: Cluster
) -> None:
    fleet, supervisor = make_fleet(FleetPlan("x", 1, 3))
    assert names(fleet.follow()) == (["gpu0@x"], [])  # the load is not known yet
    tell(connection, 9)
    assert names(fleet.follow()) == (["gpu1@x", "gpu2@x"], [])
    assert eventually(lambda: len(supervisor.children()) == 3)
    tell(connection, 0, age=3600.0)
    assert fleet.follow() == Change()  # it is not known any more
    connection.leases.take("chunk", "gpu2@x:1")
    tell(connection, 0)
    assert names(fleet.follow()) == ([], ["gpu1@x", "gpu0@x"])
    assert eventually(lambda: set(supervisor.children()) == {"gpu2@x"})
    assert eventually(lambda: not supervisor.retiring())
    tell(connection, 2)
    assert names(fleet.follow()) == (["gpu0@x"], [])


def test_a_slot_is_free_when_its_worker_has_ended(
    make_fleet: MakeFleet, connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = CODE.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
    monkeypatch.setattr(workers, "worker_command", lambda spec: [sys.executable, "-c", deaf])
    fleet, supervisor = make_fleet(FleetPlan("x", 0, 1))
    tell(connection, 1)
    fleet.follow()
    assert eventually(lambda: bool(supervisor.children()))
    tell(connection, 0)
    fleet.follow()
    tell(connection, 1)
    assert fleet.follow() == Change()
    assert supervisor.retiring() == {"gpu0@x"}


def test_a_fixed_number_needs_no_load(make_fleet: MakeFleet) -> None:
    fleet, _ = make_fleet(FleetPlan("x", 2, 2))
    assert names(fleet.follow()) == (["gpu0@x", "gpu1@x"], [])
    assert fleet.follow() == Change()


@pytest.mark.slow
def test_stages_move_from_a_gpu_that_fails(
    make_fleet: MakeFleet, connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.0)
    usable = [0, 1, 2, 3]
    plan = FleetPlan("x", 4, 4, (0, 1, 2, 3), Placement.BY_STAGE)
    fleet, supervisor = make_fleet(plan, probe=lambda: tuple(usable))
    first = fleet.follow()
    assert next(spec.stages for spec in first.start) == {Stage.TRANSCRIBE}
    assert eventually(lambda: len(supervisor.children()) == 4)

    tell(connection, 4, align=StageBacklog(900.0, 3, 0, 10.0))
    usable.remove(0)
    assert names(fleet.follow())[1] == ["gpu0@x", "gpu1@x", "gpu2@x", "gpu3@x"]
    assert eventually(lambda: not supervisor.retiring())
    moved = {spec.gpu: spec.stages for spec in fleet.follow().start}
    assert moved[1] == {Stage.TRANSCRIBE} and set(moved) == {1, 2, 3}

    usable.clear()  # the driver is away: better to wait than to end everything
    assert fleet.follow() == Change()


def test_a_fault_ends_a_pass_and_not_the_loop(
    make_fleet: MakeFleet, connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet, _ = make_fleet(FleetPlan("x", 0, 1))
    faults = [RedisError("away"), RedisError("away"), ValueError("odd")]
    stop = threading.Event()

    def follow() -> Change:
        if not faults:
            stop.set()
            return Change()
        raise faults.pop(0)

    monkeypatch.setattr(fleet, "follow", follow)
    quick = connection.settings.model_copy(update={"reconcile_seconds": 0.001})
    monkeypatch.setattr(fleet, "_cluster", type("Quick", (), {"settings": quick}))
    fleet.run(stop)
    assert faults == []


def test_a_worker_has_longer_to_end_than_its_longest_unit(
    make_fleet: MakeFleet, connection: Cluster
) -> None:
    fleet, _ = make_fleet(FleetPlan("x", 0, 1))
    values = connection.settings
    assert fleet._grace_seconds > values.deadline_floor_seconds
    assert fleet._grace_seconds > values.deadline_factor * 600

"""A machine that is taken away: SIGTERM, and SIGKILL when the notice has run out."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.job import Job
from orchestrator.local.process import Child
from orchestrator.local.workers import WorkerSpec
from tasks.runs.stages import Pool, Stage
from tasks.runs.units import Run
from tasks.state.attempts import Attempts
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import PATIENT, TENANT, ClusterUnderTest, outsider
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.invariants import computed_again

SLOW_ENGINE, SECONDS = "tests.faults.slow_engine", "SLOW_ENGINE_SECONDS"
SLOW_PREPARE = "tests.faults.slow_prepare"
GPU = WorkerSpec("gpu9@taken", Pool.GPU)
SLOW_CPU = WorkerSpec("cpu9@taken", Pool.CPU, plugins=(SLOW_PREPARE,))
SHORT_NOTICE = 3.0
# As in production: how long a lost unit waits is what is measured.
USUAL = {
    "lease_seconds": 30.0, "heartbeat_seconds": 5.0,
    "reconcile_seconds": 2.0, "reconcile_grace_seconds": 5.0,
}  # fmt: skip


def test_a_gpu_worker_hands_its_unit_back_before_its_machine_is_gone(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(1, **PATIENT)
    with taken_away(cluster, GPU, SHORT_NOTICE) as (machine, tell):
        job = cluster.submit(talk(tmp_path, 6.0), model="fake-1x", language="en")
        tell(job, Stage.TRANSCRIBE)
        assert machine.wait(SHORT_NOTICE) and machine.exit_status == 0
        assert cluster.wait(job).status == "completed"
    check_handed_back(cluster, job, Stage.TRANSCRIBE, machine)


@pytest.mark.heavy
def test_a_cpu_worker_hands_its_unit_back_before_its_machine_is_gone(
    start_cluster: StartCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW_PREPARE_SECONDS", "8")
    cluster = start_cluster(1, plugins=(SLOW_PREPARE,), **PATIENT)
    with taken_away(cluster, SLOW_CPU, 10.0) as (machine, tell):
        job = cluster.submit(talk(tmp_path, 6.0), model="fake", language="en")
        tell(job, Stage.PREPARE)
        assert machine.wait(10.0) and machine.exit_status == 0
        assert cluster.wait(job).status == "completed"
    check_handed_back(cluster, job, Stage.PREPARE, machine)


@pytest.mark.heavy
def test_a_cpu_worker_ends_a_unit_for_which_the_notice_is_long_enough(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(1, plugins=(SLOW_PREPARE,), **PATIENT)
    with taken_away(cluster, SLOW_CPU, 30.0) as (machine, tell):
        job = cluster.submit(talk(tmp_path, 6.0), model="fake", language="en")
        tell(job, Stage.PREPARE)
        assert machine.wait(15.0) and machine.exit_status == 0
        assert cluster.wait(job).status == "completed"
    assert [line["worker"] for line in begun(cluster, job, Stage.PREPARE)] == [machine.name]


@pytest.mark.fault(
    "SIGTERM of a worker 2 s after its unit began, SIGKILL after the notice of 30 or 120 s; the "
    "unit takes a third longer",
    "handed back within the notice, no death counted, completed",
)
@pytest.mark.heavy
@pytest.mark.parametrize("notice", [30.0, 120.0])
@pytest.mark.parametrize("is_told", [True, False], ids=["handed-back", "as-before"])
def test_a_unit_that_outlasts_its_machine_is_begun_elsewhere(
    start_cluster: StartCluster, tmp_path: Path, notice: float, is_told: bool,
    figure: Figure, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(SECONDS, str(notice * 4 / 3))
    cluster = start_cluster(1, plugins=(SLOW_ENGINE,), **USUAL)
    spec = WorkerSpec("gpu9@taken", Pool.GPU, plugins=(SLOW_ENGINE,))
    with taken_away(cluster, spec, notice if is_told else None) as (machine, tell):
        job = cluster.submit(talk(tmp_path, 10.0), model="fake", language="en")
        told = tell(job, Stage.TRANSCRIBE, 2.0)
        machine.wait(notice)
        gone = time.time()
        machine.kill()
        cluster.wait_until(lambda: len(begun(cluster, job, Stage.TRANSCRIBE)) > 1, 90.0)
        first, second = begun(cluster, job, Stage.TRANSCRIBE)
        deaths = deaths_of(cluster, job, Stage.TRANSCRIBE)
        ended = cluster.wait(job)

    back = [at(line) for line in cluster.events("units_handed_back")]
    figure(
        f"notice {notice:.0f} s, {'handed back' if is_told else 'as before'}:"
        f" exit {gone - told:.1f} s after SIGTERM (status {machine.exit_status}),"
        f" handed back after {back[0] - told if back else float('nan'):.1f} s,"
        f" begun elsewhere after {at(second) - told:.1f} s,"
        f" {gone - at(first):.1f} s of the device lost, {deaths} deaths counted"
    )
    assert ended.status == "completed" and computed_again(cluster, job) == []
    if is_told:
        assert machine.exit_status == 0 and gone - told < notice
        assert at(second) - gone < 5.0 and deaths == 0


def check_handed_back(cluster: ClusterUnderTest, job: Job, stage: Stage, machine: Child) -> None:
    """The unit was begun twice, ended once, and no death was counted."""
    first, second = begun(cluster, job, stage)
    assert first["worker"] == machine.name != second["worker"]
    ends = [line for line in cluster.events("unit_ended", job) if line["stage"] == stage.value]
    assert [(line["worker"], line["outcome"]) for line in ends] == [(second["worker"], "computed")]
    assert at(second) - at(first) < 15.0  # by far less than a lease's time
    assert deaths_of(cluster, job, stage) == 0


@contextmanager
def taken_away(
    cluster: ClusterUnderTest, spec: WorkerSpec, notice_seconds: float | None
) -> Iterator[tuple[Child, Callable[..., float]]]:
    """A worker that takes what the cluster's own one, which is stopped, does not.

    Yields also what sends it SIGTERM some seconds after it has begun a stage, and lets the other
    one go on.
    """
    kind, children = spec.kind.value, cluster.local.supervisor.children
    cluster.wait_until(lambda: any(name.startswith(kind) for name in children()))
    (own,) = (name for name in children() if name.startswith(kind))
    log = cluster.local.logs / f"{own.partition('@')[0]}.log"
    cluster.wait_until(lambda: "ready." in log.read_text())
    os.killpg(children()[own], signal.SIGSTOP)
    notice = {} if notice_seconds is None else {"SCRIPTORIUM_NOTICE_SECONDS": str(notice_seconds)}
    with outsider(cluster, spec, **notice) as machine:
        cluster.wait_until(lambda: "ready." in machine.log_path.read_text())

        def tell(job: Job, stage: Stage, seconds: float = 0.0) -> float:
            cluster.wait_until(lambda: bool(begun(cluster, job, stage)))
            time.sleep(seconds)
            os.killpg(children()[own], signal.SIGCONT)
            machine.terminate()
            return time.time()

        yield machine, tell


def talk(directory: Path, seconds: float) -> Path:
    return write_wav(directory / "talk.wav", recording(seconds, seed=51)[0])


def begun(cluster: ClusterUnderTest, job: Job, stage: Stage) -> list[dict[str, Any]]:
    return [line for line in cluster.events("unit_started", job) if line["stage"] == stage.value]


def deaths_of(cluster: ClusterUnderTest, job: Job, stage: Stage) -> int:
    """Tries of the unit that are counted as deaths, less one that runs."""
    (index,) = {line["chunk"] for line in begun(cluster, job, stage)}
    running = (
        len(begun(cluster, job, stage))
        - 1
        - len([line for line in cluster.events("unit_ended", job) if line["stage"] == stage.value])
    )
    unit = Run(TENANT, job.id, 1).unit(stage, index)
    return Attempts(cluster.connection.redis).deaths(unit).of_unit - running


def at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(str(line["timestamp"])).timestamp()

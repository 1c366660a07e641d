"""A machine that is taken away: SIGTERM, and SIGKILL when the notice has run out."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.local.process import Child
from orchestrator.local.workers import WorkerSpec
from tasks.runs.stages import Pool
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import ClusterUnderTest, outsider
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.invariants import computed_again

NAME = "gpu9@preempted"
UNIT_SECONDS = 40.0  # of work, about: longer than the one notice, shorter than the other
# As in production: how long a lost unit waits is what this measures.
USUAL = {
    "lease_seconds": 30.0, "heartbeat_seconds": 5.0,
    "reconcile_seconds": 2.0, "reconcile_grace_seconds": 5.0,
}  # fmt: skip


@pytest.mark.fault(
    "SIGTERM of a worker, SIGKILL after the notice of 30 or 120 s; its unit takes 40 s",
    "completed, nothing done twice after it was written",
)
@pytest.mark.heavy
@pytest.mark.parametrize("notice", [30.0, 120.0])
def test_a_machine_that_is_taken_away_costs_at_most_the_units_that_outlast_its_notice(
    start_cluster: StartCluster, tmp_path: Path, notice: float, figure: Figure
) -> None:
    cluster = start_cluster(workers=1, **USUAL)
    path = write_wav(tmp_path / "speech.wav", np.tile(recording(60, seed=7)[0], 2))
    with outsider(cluster, WorkerSpec(NAME, Pool.GPU)) as machine:
        cluster.wait_until(lambda: "ready." in machine.log_path.read_text())
        job = cluster.submit(path, model="fake-1x", chunk_seconds=60.0, language="en")
        cluster.wait_until(lambda: bool(begun(cluster)))
        time.sleep(2.0)
        told = time.time()
        os.killpg(machine.pid, signal.SIGTERM)
        gone = wait_for(machine, notice)
        machine.kill()
        ended = cluster.wait(job)

    assert ended.status == "completed"
    assert computed_again(cluster, job) == []
    lost = [line for line in begun(cluster) if unit(line) not in done(cluster)]
    elsewhere = [
        at(line) - gone
        for line in cluster.events("unit_started", job)
        if not line["worker"].startswith("gpu9") and unit(line) in set(map(unit, lost))
    ]
    figure(
        f"notice {notice:.0f} s: gone after {gone - told:.0f} s, {len(begun(cluster))} units"
        f" begun, {len(lost)} lost, {sum(gone - at(line) for line in lost):.0f} s of work done"
        f" twice, begun elsewhere {max(elsewhere, default=0.0):.0f} s later at the latest"
    )
    assert all(at(line) <= told + 1 for line in begun(cluster))  # nothing new after the notice
    if notice > UNIT_SECONDS + 10:
        assert lost == []
    else:
        # The lease, the grace and two passes; then the other worker ends the unit that it has.
        assert max(elsewhere) < 45.0 + UNIT_SECONDS


def wait_for(machine: Child, notice: float) -> float:
    """Wait for the end of a process, at most for the notice; when it was, or now."""
    until = time.monotonic() + notice
    while time.monotonic() < until and machine.exit_status is None:
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(machine.pid, signal.SIGKILL)
    return time.time()


def begun(cluster: ClusterUnderTest) -> list[dict[str, Any]]:
    """The chunks that the machine has begun."""
    return [
        line
        for line in cluster.events("unit_started")
        if line["worker"].startswith("gpu9") and line["stage"] == "transcribe"
    ]


def done(cluster: ClusterUnderTest) -> set[tuple[Any, ...]]:
    """The units that the machine has ended."""
    return {
        unit(line) for line in cluster.events("unit_ended") if line["worker"].startswith("gpu9")
    }


def unit(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["job"], line["stage"], line["chunk"]


def at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(str(line["timestamp"])).timestamp()

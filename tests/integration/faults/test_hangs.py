"""A worker that stands still loses its work to another one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster


@pytest.mark.fault(
    "SIGSTOP of a worker",
    "its lease expires, another worker does the chunk, equal bytes",
)
def test_a_frozen_worker_loses_its_lease_and_its_chunk_is_done_elsewhere(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=2)
    path = write_wav(tmp_path / "speech.wav", recording(60, seed=110)[0])
    job = cluster.submit(path, model="fake-5x", chunk_seconds=10.0, language="en")
    cluster.wait_until(
        lambda: any(
            line["stage"] == "transcribe" and line["worker"].startswith("gpu0")
            for line in cluster.events("unit_started", job)
        )
    )
    frozen = next(
        pid for name, pid in cluster.local.supervisor.children().items() if name.startswith("gpu0")
    )
    os.killpg(frozen, signal.SIGSTOP)
    try:
        assert cluster.wait(job).status == "completed"
    finally:
        os.killpg(frozen, signal.SIGCONT)


@pytest.mark.fault(
    "a unit hangs",
    "its process ends at the deadline, all stacks are in the log",
)
def test_a_unit_past_its_deadline_ends_its_process_with_all_stacks_in_the_log(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(
        workers=1,
        plugins=("tests.faults.hanging_engine",),
        deadline_floor_seconds=2.0,
        deadline_factor=0.01,
        max_attempts=2,
    )
    path = write_wav(tmp_path / "speech.wav", recording(10, seed=111)[0])
    job = cluster.wait(cluster.submit(path, model="fake", language="en"))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "chunk_crashed"
    assert len(cluster.events("deadline_passed")) == 2
    assert "hanging_engine.py" in (cluster.local.logs / "gpu0.log").read_text()


@pytest.mark.fault(
    "kill -9 of Redis, which comes back empty",
    "the job completes",
)
def test_a_killed_redis_of_the_local_cluster_comes_back_and_the_job_completes(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=2)
    path = write_wav(tmp_path / "speech.wav", recording(60, seed=112)[0])
    job = cluster.submit(path, model="fake-10x", chunk_seconds=10.0, language="en")
    cluster.wait_until(lambda: len(cluster.events("unit_ended", job)) >= 2)
    server = cluster.local.redis
    assert server is not None and server.child is not None
    server.child.signal_group(signal.SIGKILL)
    assert cluster.wait(job).status == "completed"

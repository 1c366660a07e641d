"""kill -9 at any moment loses nothing and repeats nothing that was done."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.job import Job
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.invariants import (
    assert_nothing_left,
    computed_again,
    return_held_messages,
)

TENANT = "default"
CHUNKS = 20
CHUNK_SECONDS = 6.0
# Words and speakers too, so that any stage may be hit.
OPTIONS: dict[str, Any] = {
    "chunk_seconds": CHUNK_SECONDS, "language": "en", "aligner": "ctc",
    "diarize": True, "shard_seconds": 16.0,
}  # fmt: skip


@pytest.mark.fault(
    "kill -9 of a random worker at a random moment",
    "completed, equal bytes, nothing computed twice",
)
@pytest.mark.parametrize("runs", [2, pytest.param(10, marks=pytest.mark.heavy)])
def test_a_job_survives_kill_9_of_a_random_worker_at_a_random_moment(
    start_cluster: StartCluster, tmp_path: Path, runs: int, figure: Figure
) -> None:
    cluster = start_cluster(workers=2)
    seconds = {}
    for seed in range(runs):
        dice = random.Random(seed)
        samples, _ = recording(CHUNKS * CHUNK_SECONDS - 1, seed=100 + seed)
        path = write_wav(tmp_path / f"{seed}.wav", samples[: int(CHUNKS * CHUNK_SECONDS * 16_000)])
        calm = run(cluster, path, "fake")
        started = time.monotonic()
        job = cluster.submit(path, model="fake-10x", diarize_model="fake-50x", **OPTIONS)
        time.sleep(dice.uniform(0.0, 6.0))
        victim = cluster.kill_random_worker(dice)
        ended = cluster.wait(job)
        seconds[seed] = time.monotonic() - started

        figure(f"seed {seed}: killed {victim}, done {seconds[seed]:.1f} s after submission")
        assert ended.status == "completed"
        assert ended.chunks.total == CHUNKS
        assert cluster.result_bytes(job) == cluster.result_bytes(calm)
        assert computed_again(cluster, job) == []
    return_held_messages(cluster.connection)
    assert_nothing_left(cluster.connection, TENANT)


@pytest.mark.fault(
    "kill -9 of every worker at once",
    "completed, equal bytes, nothing computed twice",
)
@pytest.mark.heavy
def test_every_worker_killed_at_once_only_delays_the_job(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=2)
    path = write_wav(tmp_path / "speech.wav", recording(60, seed=5)[0])
    calm = run(cluster, path, "fake")
    job = cluster.submit(path, model="fake-10x", diarize_model="fake-50x", **OPTIONS)
    cluster.wait_until(lambda: cluster.connection.job("default", job.id).chunks.done >= 2)
    for pid in cluster.local.supervisor.children().values():
        os.killpg(pid, signal.SIGKILL)
    assert cluster.wait(job).status == "completed"
    assert cluster.result_bytes(job) == cluster.result_bytes(calm)
    assert computed_again(cluster, job) == []


def run(cluster: ClusterUnderTest, path: Path, model: str) -> Job:
    """The same words as at any other speed of the fake engine, without a fault."""
    job = cluster.submit(path, model=model, **OPTIONS)
    ended = cluster.wait(job)
    assert ended.status == "completed"
    return ended

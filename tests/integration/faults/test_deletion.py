"""Deletion on a real cluster: while work goes on, with processes that die."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.connection import UnknownJob
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.submission import rerun
from tasks.runs import keys, usage_keys
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster

OPTIONS: dict[str, Any] = {"model": "fake-20x", "chunk_seconds": 10.0, "language": "en"}
QUICK = {"lease_seconds": 2.0, "heartbeat_seconds": 0.5, "audit_seconds": 1.0}


def everything(cluster: ClusterUnderTest) -> list[str]:
    """All keys but those of what runs used, which outlive their jobs."""
    found = cluster.connection.store.list("")
    return [key for key in found if not key.startswith(usage_keys.RUNS)]


def chunks_done(cluster: ClusterUnderTest, job: str) -> int:
    return cluster.connection.job(TENANT, job).chunks.done


@pytest.mark.fault(
    "a job is deleted while it runs",
    "the store lists nothing of it",
)
def test_a_job_that_is_deleted_while_it_runs_leaves_nothing(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=2, **QUICK)
    path = write_wav(tmp_path / "long.wav", recording(180, seed=7)[0])
    job = cluster.submit(path, **OPTIONS, diarize=True, shard_seconds=16.0)
    cluster.wait_until(lambda: chunks_done(cluster, job.id) > 0)
    delete_job(cluster.connection, TENANT, job.id)
    with pytest.raises(UnknownJob):
        cluster.connection.job(TENANT, job.id)
    cluster.wait_until(lambda: everything(cluster) == [])


@pytest.mark.fault(
    "a job is deleted while it is decoded",
    "the store lists nothing of it",
)
def test_a_job_that_is_deleted_while_it_is_decoded_leaves_nothing(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=1, **QUICK)
    path = write_wav(tmp_path / "long.wav", recording(180, seed=8)[0])
    job = cluster.submit(path, **OPTIONS)
    plan = keys.plan(TENANT, job.id)
    cluster.wait_until(lambda: any(cluster.connection.leases.held([plan])))
    delete_job(cluster.connection, TENANT, job.id)
    cluster.wait_until(lambda: everything(cluster) == [])


@pytest.mark.fault(
    "the process that deletes is killed at random",
    "the deletion ends, the other job of the audio is whole",
)
@pytest.mark.heavy
def test_deletions_with_deaths_leave_the_other_job_of_the_same_audio_whole(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    """Two jobs share every chunk; one goes while both run and workers are killed."""
    cluster, dice = start_cluster(workers=2, **QUICK), random.Random(3)
    path = write_wav(tmp_path / "long.wav", recording(120, seed=9)[0])
    gone, kept = (cluster.submit(path, **OPTIONS) for _ in range(2))
    cluster.wait_until(lambda: chunks_done(cluster, kept.id) > 0)
    cluster.kill_gpu_worker(dice)
    delete_job(cluster.connection, TENANT, gone.id)
    cluster.kill_random_worker(dice)
    assert cluster.wait(kept).status == "completed"
    whole = cluster.result(kept)
    stone = keys.tombstone(TENANT, gone.id)
    cluster.wait_until(lambda: cluster.connection.store.size(stone) is None)
    assert not [key for key in everything(cluster) if gone.id in key]
    assert cluster.result(kept) == whole
    again = rerun(cluster.connection, TENANT, kept.id, {"model": "fake"})
    assert cluster.wait(again).status == "completed"
    for job in (kept, again):
        delete_job(cluster.connection, TENANT, job.id)
    cluster.wait_until(lambda: everything(cluster) == [])

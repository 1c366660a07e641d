"""Forty kill -9 at random while 300 jobs of 20 chunks are done: nothing is lost or differs."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from orchestrator.cluster.job import Job
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.invariants import (
    assert_nothing_left,
    computed_again,
    return_held_messages,
)

JOBS, FILES, CHUNKS, CHUNK_SECONDS = 300, 10, 20, 5.0
KILLS = 40
FINAL_SECONDS = 60.0  # after the last kill


def submit(cluster: ClusterUnderTest, path: Path, prompt: str) -> Job:
    """Each prompt has artifacts of its own, so that every job computes its chunks."""
    return cluster.submit(
        path, model="fake", chunk_seconds=CHUNK_SECONDS, language="en", initial_prompt=prompt
    )


def storm(cluster: ClusterUnderTest, dice: random.Random, jobs: int) -> float:
    """Kill random workers while the jobs end, the last when a tenth is left; give its time."""
    for share in sorted(dice.uniform(0.0, 0.9) for _ in range(KILLS)):
        while len(cluster.connection.jobs.open_runs()) > jobs * (1.0 - share):
            time.sleep(0.05)
        time.sleep(dice.uniform(0.0, 1.0))  # at any moment of what they do
        if cluster.local.supervisor.children():
            cluster.kill_random_worker(dice)
    return time.monotonic()


@pytest.mark.fault(
    "40 kill -9 of random workers over 300 jobs of 20 chunks",
    "0 lost, all final within 60 s of the last kill, equal bytes, nothing computed twice",
)
@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_hundred_jobs_survive_a_storm_of_kills(
    start_cluster: StartCluster, tmp_path: Path, seed: int, figure: Figure
) -> None:
    jobs = int(os.environ.get("STORM_JOBS", JOBS))
    dice = random.Random(seed)
    cluster = start_cluster(workers=2)
    paths = [
        write_wav(tmp_path / f"{number}.wav", recording(CHUNKS * CHUNK_SECONDS, seed=number)[0])
        for number in range(FILES)
    ]
    submitted = [submit(cluster, paths[number % FILES], f"{number}") for number in range(jobs)]
    began = time.monotonic()
    last = storm(cluster, dice, jobs)
    statuses = [cluster.wait(job).status for job in submitted]
    after = time.monotonic() - last
    again = computed_again(cluster)
    lost = sum(status != "completed" for status in statuses)
    figure(
        f"seed {seed}: {KILLS} kills over {last - began:.0f} s, {jobs} jobs, {lost} lost, "
        f"all final {after:.0f} s after the last kill, {len(again)} units done twice"
    )
    assert lost == 0
    assert again == []
    assert after < FINAL_SECONDS
    calm = [submit(cluster, path, "calm") for path in paths]
    assert {cluster.wait(job).status for job in calm} == {"completed"}
    undisturbed = [cluster.result_bytes(job) for job in calm]
    for number, job in enumerate(submitted):
        assert cluster.result_bytes(job) == undisturbed[number % FILES]
    return_held_messages(cluster.connection)
    assert computed_again(cluster) == []
    assert_nothing_left(cluster.connection, TENANT)

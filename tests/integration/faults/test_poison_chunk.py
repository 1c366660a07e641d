"""A chunk that kills its worker costs its own span, and no other job's time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from orchestrator.jobs.runs import retry
from tasks.runs import keys
from tests.faults.deadly_chunk import SHOUT
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT
from tests.integration.conftest import StartCluster

CHUNK_SECONDS = 10.0
PLUGINS = ("tests.faults.deadly_chunk",)
OPTIONS = {"model": "fake-20x", "chunk_seconds": CHUNK_SECONDS, "language": "en"}


def write_poisoned(path: Path) -> Path:
    """A minute of speech; the third of its six chunks is shouted at full level."""
    samples, _ = recording(60, seed=60)
    samples = samples[: 60 * 16_000].copy()
    samples[22 * 16_000 : 28 * 16_000] *= SHOUT
    return write_wav(path, np.clip(samples, -1, 1))


@pytest.mark.fault(
    "a chunk kills its worker each time",
    "three tries, `partial`, a dead letter",
)
def test_a_chunk_that_kills_its_worker_is_tried_3_times_and_quarantined(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=2, plugins=PLUGINS)
    poisoned = cluster.submit(write_poisoned(tmp_path / "poisoned.wav"), **OPTIONS)
    ended = cluster.wait(poisoned)

    assert ended.status == "partial"
    assert ended.chunks.failed == 1
    (missing,) = cluster.result(poisoned)["missing"]
    plan = cluster.connection.records.plan(TENANT, poisoned.id)
    failed = next(
        index for index, chunk in enumerate(plan.chunks) if chunk[0] / 16_000 == missing["start"]
    )
    assert missing["code"] == "chunk_crashed"
    assert missing["start"] <= 22 and missing["end"] >= 28
    tries = [
        line
        for line in cluster.events("unit_started", poisoned)
        if line["chunk"] == failed and line["stage"] == "transcribe"
    ]
    assert len(tries) == 3
    (letter,) = cluster.connection.store.list(keys.DEAD_LETTERS)
    assert json.loads(cluster.connection.store.get(letter))["code"] == "chunk_crashed"
    assert [warning["code"] for warning in ended.warnings] == ["missing_span"]


@pytest.mark.fault(
    "a chunk kills its worker each time",
    "other jobs complete; where a worker does one unit at once, each chunk runs once",
)
def test_the_neighbours_of_a_poison_chunk_run_once_each_and_are_done_before_it(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    pools = {"gpu": {"kind": "gpu", "concurrency": 1}}
    patient = {"lease_seconds": 60.0, "reconcile_grace_seconds": 5.0}  # of neighbours
    cluster = start_cluster(workers=2, plugins=PLUGINS, pools=pools, **patient)
    poisoned = cluster.submit(write_poisoned(tmp_path / "poisoned.wav"), **OPTIONS)
    neighbours = [
        cluster.submit(write_wav(tmp_path / f"{seed}.wav", recording(30, seed=seed)[0]), **OPTIONS)
        for seed in (61, 62, 63)
    ]
    for neighbour in neighbours:
        assert cluster.wait(neighbour).status == "completed"
        chunks = [
            line["chunk"]
            for line in cluster.events("unit_started", neighbour)
            if line["stage"] == "transcribe"
        ]
        assert len(chunks) == len(set(chunks))
    assert cluster.wait(poisoned).status == "partial"


@pytest.mark.fault(
    "a partial job is retried",
    "only what is missing is computed",
)
@pytest.mark.heavy
def test_a_retry_of_a_partial_job_computes_only_what_is_missing(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    path = write_poisoned(tmp_path / "poisoned.wav")
    broken = start_cluster(workers=1, plugins=PLUGINS)
    job = broken.submit(path, **OPTIONS)
    assert broken.wait(job).status == "partial"
    store_url = broken.connection.store.url
    broken.local.close()

    mended = start_cluster(workers=1, name="mended", store_url=store_url)  # no deadly engine
    retry(mended.connection, TENANT, job.id)
    ended = mended.wait(job)
    assert ended.status == "completed"
    assert ended.run == 2
    assert list(mended.connection.store.list(keys.DEAD_LETTERS)) == []
    computed = [
        line
        for line in mended.events("unit_ended", job)
        if line["outcome"] == "computed" and line["stage"] == "transcribe"
    ]
    assert len(computed) == 1


@pytest.mark.fault(
    "a chunk kills its worker each time, whose three threads do other jobs beside it",
    "the neighbours are not charged with its deaths: only the chunk is given up",
)
@pytest.mark.heavy
def test_neighbours_in_the_same_process_do_not_pay_for_a_poison_chunk(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    pools = {"gpu": {"kind": "gpu", "maximum": 1, "concurrency": 3}}
    cluster = start_cluster(workers=1, plugins=PLUGINS, pools=pools)
    slow = OPTIONS | {"model": "fake-4x"}  # always in the process when it dies
    neighbours = [
        cluster.submit(write_wav(tmp_path / f"{seed}.wav", recording(60, seed=seed)[0]), **slow)
        for seed in (61, 62)
    ]
    poisoned = cluster.submit(write_poisoned(tmp_path / "poisoned.wav"), **OPTIONS)
    ended = cluster.wait(poisoned)
    assert (ended.status, ended.chunks.failed) == ("partial", 1)
    for neighbour in neighbours:
        assert cluster.wait(neighbour).status == "completed"

"""A worker that cannot work leaves, and no job loses a chunk by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.cluster.job import Job
from orchestrator.local.process import Child
from orchestrator.local.workers import WorkerSpec
from tasks.execution.fitness import EXIT_UNFIT
from tasks.runs.stages import Pool
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import ClusterUnderTest, outsider
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure

JOBS = 5


@contextmanager
def beside_a_good_one(
    start_cluster: StartCluster, plugin: str, **told: str
) -> Iterator[tuple[ClusterUnderTest, Child]]:
    """A cluster of one good worker, and a ready one that a plugin breaks."""
    cluster = start_cluster(workers=1)
    spec = WorkerSpec("gpu9@broken", Pool.GPU, plugins=(plugin,))
    with outsider(cluster, spec, **told) as broken:
        cluster.wait_until(lambda: "ready." in broken.log_path.read_text())
        yield cluster, broken


def submitted(cluster: ClusterUnderTest, directory: Path, model: str = "fake-20x") -> list[Job]:
    """Jobs of eleven chunks each, at which the good worker has some seconds of work."""
    paths = [write_wav(directory / f"{n}.wav", recording(60, seed=20 + n)[0]) for n in range(JOBS)]
    return [cluster.submit(path, model=model, language="en", chunk_seconds=6.0) for path in paths]


def assert_nothing_lost(cluster: ClusterUnderTest, jobs: list[Job], figure: Figure) -> None:
    ended = [cluster.wait(job) for job in jobs]
    chunks = [(job.status, job.chunks.failed) for job in ended]
    figure(
        f"{sum(job.chunks.total for job in ended)} chunks, "
        f"{sum(job.chunks.failed for job in ended)} failed"
    )
    assert chunks == [("completed", 0)] * JOBS


@pytest.mark.fault(
    "a worker is told `cuda` without a driver",
    "it ends before it takes work, and says why",
)
def test_a_worker_without_its_device_ends_before_it_takes_work(
    start_cluster: StartCluster,
) -> None:
    cluster = start_cluster(workers=1)
    spec = WorkerSpec("gpu9@broken", Pool.GPU)
    told = {"SCRIPTORIUM_DEVICE": "cuda", "SCRIPTORIUM_SELF_TEST": "true"}
    with outsider(cluster, spec, **told) as broken:
        cluster.wait_until(lambda: broken.exit_status is not None)
        assert broken.exit_status == EXIT_UNFIT
        log = broken.log_path.read_text()
        assert "worker_unfit" in log and "nvidia-smi" in log and "ready." not in log


@pytest.mark.fault(
    "a worker's driver fails at every model, beside a good worker",
    "no chunk of five jobs is lost, the worker leaves",
)
@pytest.mark.heavy
def test_a_worker_whose_device_is_lost_while_it_works_costs_no_job_a_chunk(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure
) -> None:
    with beside_a_good_one(start_cluster, "tests.faults.broken_gpu", SCRIPTORIUM_DEVICE="cuda") as (
        cluster,
        broken,
    ):
        assert_nothing_lost(cluster, submitted(cluster, tmp_path), figure)
        assert broken.exit_status == EXIT_UNFIT


@pytest.mark.fault(
    "a worker fails at every unit though its self test passes",
    "no chunk of five jobs is lost, the worker leaves",
)
@pytest.mark.heavy
def test_a_worker_that_fails_in_a_way_its_test_does_not_see_leaves_too(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure
) -> None:
    with beside_a_good_one(start_cluster, "tests.faults.broken_gpu") as (cluster, broken):
        assert_nothing_lost(cluster, submitted(cluster, tmp_path), figure)
        assert broken.exit_status == EXIT_UNFIT


@pytest.mark.fault(
    "a worker's copy of a model is broken, beside a good worker",
    "no chunk of five jobs is lost, the worker leaves",
)
@pytest.mark.heavy
def test_a_worker_that_cannot_load_what_another_can_costs_no_job_a_chunk(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure
) -> None:
    with beside_a_good_one(start_cluster, "tests.faults.broken_model") as (cluster, broken):
        assert_nothing_lost(cluster, submitted(cluster, tmp_path), figure)
        assert broken.exit_status == EXIT_UNFIT
        log = broken.log_path.read_text()
        assert '"code": "model_unusable"' in log and "unknown_model" not in log


@pytest.mark.fault(
    "a worker has neither the model nor a hub, beside a good worker",
    "no chunk of five jobs is lost, and the good worker has work all the time",
)
@pytest.mark.heavy
def test_a_worker_without_the_model_and_a_hub_keeps_no_work_from_the_others(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure
) -> None:
    with beside_a_good_one(start_cluster, "tests.faults.no_hub") as (cluster, broken):
        began = time.monotonic()
        assert_nothing_lost(cluster, submitted(cluster, tmp_path, model="fake-5x"), figure)
        seconds = time.monotonic() - began
        retries = broken.log_path.read_text().count("unit_retried")
    figure(f"{seconds:.0f} s for a minute of work, {retries} units tried in vain")
    assert retries > 0
    assert seconds < 120  # 197 s while each of these waited for up to a minute

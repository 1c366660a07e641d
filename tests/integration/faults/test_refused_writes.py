"""Redis answers and refuses writes for a moment: workers go on afterwards, and no job is lost."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestrator.cluster.job import Job
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.own_redis import REFUSALS, OwnRedis

CHUNK_SECONDS = 6.0
SEED = 14


def submit(cluster: ClusterUnderTest, path: Path, model: str) -> Job:
    return cluster.submit(path, model=model, chunk_seconds=CHUNK_SECONDS, language="en")


def progress(cluster: ClusterUnderTest, job: Job) -> int:
    return cluster.connection.job(TENANT, job.id).chunks.done


@pytest.mark.fault(
    "Redis refuses writes for 1.5 s (READONLY, OOM) while a worker has a unit",
    "the same worker takes work again, equal bytes",
)
@pytest.mark.parametrize("kind", ["READONLY", pytest.param("OOM", marks=pytest.mark.heavy)])
def test_a_worker_takes_work_again_after_a_moment_of_refused_writes(
    start_cluster: StartCluster, own_redis: OwnRedis, tmp_path: Path, kind: str, figure: Figure
) -> None:
    cluster = start_cluster(workers=1, redis_url=SecretStr(own_redis.url))
    path = write_wav(tmp_path / "speech.wav", recording(60, seed=61)[0])
    job = submit(cluster, path, "fake-10x")
    cluster.wait_until(lambda: progress(cluster, job) >= 2)
    cluster.wait_until(
        lambda: len(cluster.events("unit_started", job)) > len(cluster.events("unit_ended", job))
    )
    before = cluster.gpu_worker_pids()
    own_redis.refuse(kind, 1.5)
    began = time.monotonic()
    assert cluster.wait(job).status == "completed"
    took = time.monotonic() - began
    figure(f"completed {took:.1f} s after 1.5 s of {kind}")
    assert cluster.gpu_worker_pids() == before  # it heals without a restart
    calm = cluster.wait(submit(cluster, path, "fake"))
    assert cluster.result_bytes(job) == cluster.result_bytes(calm)


@pytest.mark.fault(
    "Redis refuses writes ten times for 1 to 3 s under load (READONLY, OOM, NOREPLICAS)",
    "all jobs complete, equal bytes",
)
@pytest.mark.heavy
def test_writes_refused_ten_times_under_load_lose_nothing(
    start_cluster: StartCluster, own_redis: OwnRedis, tmp_path: Path, figure: Figure
) -> None:
    dice = random.Random(SEED)
    cluster = start_cluster(workers=2, redis_url=SecretStr(own_redis.url))
    paths = [write_wav(tmp_path / f"{n}.wav", recording(60, seed=60 + n)[0]) for n in range(12)]
    jobs = [submit(cluster, path, "fake-10x") for path in paths]
    cluster.wait_until(lambda: any(progress(cluster, job) for job in jobs))
    for number in range(10):
        kind = sorted(REFUSALS)[number % len(REFUSALS)]
        own_redis.refuse(kind, dice.uniform(1.0, 3.0))
        time.sleep(dice.uniform(1.0, 3.0))
    began = time.monotonic()
    ended = [cluster.wait(job) for job in jobs]
    info = cluster.connection.redis.info()
    figure(
        f"seed {SEED}: {len(jobs)} jobs final {time.monotonic() - began:.0f} s after the last of "
        f"ten refusals; Redis: {info['total_error_replies']} error replies, "
        f"{info['rejected_connections']} rejected connections"
    )
    assert [job.status for job in ended] == ["completed"] * len(jobs)
    for job, path in zip(jobs, paths, strict=True):
        calm = cluster.wait(submit(cluster, path, "fake"))
        assert cluster.result_bytes(job) == cluster.result_bytes(calm)

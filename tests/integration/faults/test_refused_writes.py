"""Redis answers and refuses writes for a moment: workers go on afterwards, and no job is lost."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis

from orchestrator.cluster.job import Job
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.own_redis import REFUSALS, OwnRedis, ReplicatedRedis

CHUNK_SECONDS = 6.0


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
    "under load, Redis refuses writes ten times for 1 to 3 s (READONLY, OOM, NOREPLICAS), twice "
    "its replica is promoted without the last second, twice it is wiped",
    "all jobs complete, equal bytes, workers alive",
)
@pytest.mark.heavy
@pytest.mark.parametrize("seed", [14, 15])
def test_a_redis_that_refuses_fails_over_and_is_wiped_loses_nothing(
    start_cluster: StartCluster, tmp_path: Path, seed: int, figure: Figure
) -> None:
    dice = random.Random(seed)
    with ReplicatedRedis(tmp_path) as redis:
        cluster = start_cluster(workers=2, redis_url=SecretStr(redis.url))
        paths = [write_wav(tmp_path / f"{n}.wav", recording(60, seed=60 + n)[0]) for n in range(20)]
        jobs = [submit(cluster, path, "fake-10x") for path in paths]
        cluster.wait_until(lambda: any(progress(cluster, job) for job in jobs))
        faults = [*(sorted(REFUSALS) * 4)[:10], *["replica"] * 2, *["wipe"] * 2]
        dice.shuffle(faults)
        errors = 0
        for fault in faults:
            if fault == "replica":
                errors += error_replies(redis.master)
                redis.fail_over(lost_seconds=1.0)
            elif fault == "wipe":
                with Redis.from_url(redis.master.url) as admin:
                    admin.flushall()
            else:
                redis.master.refuse(fault, dice.uniform(1.0, 3.0))
            time.sleep(dice.uniform(0.5, 2.0))
        began = time.monotonic()
        ended = [cluster.wait(job) for job in jobs]
        figure(
            f"seed {seed}: {len(faults)} faults, {len(jobs)} jobs final "
            f"{time.monotonic() - began:.0f} s after the last, Redis gave "
            f"{errors + error_replies(redis.master)} error replies"
        )
        assert [job.status for job in ended] == ["completed"] * len(jobs)
        assert len(cluster.local.supervisor.children()) >= 2
        for job, path in zip(jobs, paths, strict=True):
            calm = cluster.wait(submit(cluster, path, "fake"))
            assert cluster.result_bytes(job) == cluster.result_bytes(calm)


def error_replies(server: OwnRedis) -> int:
    """How many requests the server has refused, by its own count."""
    with Redis.from_url(server.url) as admin:
        return int(admin.info("stats")["total_error_replies"])

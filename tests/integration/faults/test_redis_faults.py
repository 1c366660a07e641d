"""Redis may be wiped, be away, deliver twice or lose a message: each job completes once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestrator.cluster.job import Job
from orchestrator.cluster.queues import read_unit
from tasks.fair_queue import message_of
from tasks.runs.stages import Lane, Stage
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.integration.faults.own_redis import OwnRedis

CHUNK_SECONDS = 6.0


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Two minutes: 20 chunks, six seconds of work for two workers at 10x."""
    return write_wav(tmp_path / "speech.wav", recording(119, seed=40)[0][: 120 * 16_000])


def submit(cluster: ClusterUnderTest, path: Path, model: str = "fake-10x") -> Job:
    """With words and speakers, so that every stage is there to be lost."""
    return cluster.submit(
        path, model=model, chunk_seconds=CHUNK_SECONDS, language="en", aligner="ctc",
        diarize=True, shard_seconds=16.0,
    )  # fmt: skip


def assert_completed_once(cluster: ClusterUnderTest, job: Job, path: Path) -> None:
    """Completed with the words of a run without faults, and published by one put."""
    assert cluster.wait(job).status == "completed"
    calm = cluster.wait(submit(cluster, path, "fake"))
    assert cluster.result_bytes(job) == cluster.result_bytes(calm)
    published = [
        line
        for line in cluster.events("unit_ended", job)
        if line["stage"] == "assemble" and line["outcome"] == "computed"
    ]
    assert len(published) == 1
    assert list(cluster.connection.store.list("open/")) == []


def in_mid_run(cluster: ClusterUnderTest, job: Job) -> None:
    cluster.wait_until(lambda: len(cluster.events("unit_ended", job)) >= 5)


@pytest.mark.fault(
    "Redis is wiped in mid-run",
    "completed once, equal bytes",
)
def test_a_wiped_redis_in_mid_run_is_rebuilt_from_the_store(
    start_cluster: StartCluster, speech: Path
) -> None:
    cluster = start_cluster()
    job = submit(cluster, speech)
    in_mid_run(cluster, job)
    cluster.connection.redis.flushall()
    assert_completed_once(cluster, job, speech)


@pytest.mark.fault(
    "Redis is down for 20 s and comes back empty",
    "completed once, equal bytes",
)
@pytest.mark.heavy
def test_a_redis_that_is_down_for_20_seconds_only_delays_the_job(
    start_cluster: StartCluster, speech: Path, own_redis: OwnRedis
) -> None:
    cluster = start_cluster(redis_url=SecretStr(own_redis.url))
    job = submit(cluster, speech)
    in_mid_run(cluster, job)
    own_redis.stop()
    time.sleep(20)
    own_redis.start()  # empty: it keeps nothing on disk
    started = time.monotonic()
    assert_completed_once(cluster, job, speech)
    print(f"\ncompleted {time.monotonic() - started:.1f} s after Redis came back, empty")


@pytest.mark.fault(
    "every message is delivered twice",
    "each unit computed once, one result",
)
@pytest.mark.heavy
def test_every_message_delivered_twice_gives_one_result(
    start_cluster: StartCluster, speech: Path
) -> None:
    cluster = start_cluster(plugins=("tests.faults.double_delivery",))
    job = submit(cluster, speech)
    assert_completed_once(cluster, job, speech)
    deliveries = len(cluster.events("unit_ended", job))
    computed = [
        (line["stage"], line["chunk"])
        for line in cluster.events("unit_ended", job)
        if line["outcome"] == "computed"
    ]
    print(f"\n{deliveries} deliveries, {len(computed)} units computed")
    assert deliveries > 1.5 * len(computed)
    assert len(computed) == len(set(computed))


@pytest.mark.fault(
    "a message is removed from a busy queue",
    "issued again, all jobs complete",
)
@pytest.mark.heavy
def test_a_chunk_message_removed_from_a_busy_queue_is_issued_again(
    start_cluster: StartCluster, speech: Path, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=1)
    others = [
        submit(
            cluster,
            write_wav(tmp_path / f"{seed}.wav", recording(40, seed=seed)[0]),
            "fake-10x",
        )
        for seed in range(50, 54)
    ]
    job = submit(cluster, speech)
    waiting = f"{Stage.TRANSCRIBE.queue(Lane.INTERACTIVE)}:of:{TENANT}"
    redis = cluster.connection.redis

    def its_messages() -> list[bytes]:
        items = [it for it in redis.lrange(waiting, 0, -1) if isinstance(it, bytes)]
        return [
            it for it in items if (unit := read_unit(message_of(it))) and unit.run.job == job.id
        ]

    cluster.wait_until(lambda: len(its_messages()) >= 3)
    # redis-py declares a str alone; a message is what the broker wrote, bytes.
    assert redis.lrem(waiting, 1, its_messages()[1]) == 1  # type: ignore[arg-type]

    assert_completed_once(cluster, job, speech)
    for other in others:
        assert cluster.wait(other).status == "completed"

"""RabbitMQ carries the messages: what holds over Redis holds over it, faults included."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr

from config.settings import Settings
from orchestrator.cluster.job import Job
from orchestrator.jobs.following import follow
from orchestrator.local.cluster import LocalCluster
from orchestrator.scaling.published import published
from tasks.broker import make_app
from tasks.runs.canvas import signature
from tasks.runs.stages import Lane, queues
from tests.inputs.examples import a_unit
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import ClusterUnderTest, quick_settings
from tests.integration.conftest import StartCluster
from tests.servers.rabbitmq import RabbitServer, rabbit_server

# Every stage, in small pieces.
OPTIONS: dict[str, Any] = {
    "chunk_seconds": 6.0, "language": "en", "aligner": "ctc",
    "diarize": True, "shard_seconds": 16.0,
}  # fmt: skip


@pytest.fixture
def rabbit(tmp_path: Path) -> Iterator[RabbitServer]:
    server = rabbit_server(tmp_path / "rabbitmq")
    yield server
    server.stop()


@pytest.fixture
def cluster(rabbit: RabbitServer, start_cluster: StartCluster) -> ClusterUnderTest:
    return start_cluster(broker_url=SecretStr(rabbit.url))


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Two minutes: 20 chunks, six seconds of work for two workers at 10x."""
    return write_wav(tmp_path / "speech.wav", recording(119, seed=40)[0][: 120 * 16_000])


def submit(cluster: ClusterUnderTest, path: Path, model: str = "fake-10x") -> Job:
    return cluster.submit(path, model=model, **OPTIONS)


def in_mid_run(cluster: ClusterUnderTest, job: Job) -> None:
    cluster.wait_until(lambda: len(cluster.events("unit_ended", job)) >= 5)


def assert_completed_once(cluster: ClusterUnderTest, job: Job, path: Path) -> None:
    """Completed with the words of a run without faults, and published by one put."""
    assert cluster.wait(job).status == "completed"
    calm = cluster.wait(submit(cluster, path, "fake"))
    assert cluster.result_bytes(job) == cluster.result_bytes(calm)
    assert computed(cluster, job).count(("assemble", 0)) == 1
    assert list(cluster.connection.store.list("open/")) == []


def computed(cluster: ClusterUnderTest, job: Job) -> list[tuple[str, int]]:
    """The units whose artifact was written, as often as it was computed."""
    return [
        (line["stage"], line["chunk"])
        for line in cluster.events("unit_ended", job)
        if line["outcome"] == "computed"
    ]


def reissued_units(cluster: ClusterUnderTest) -> int:
    load = published(cluster.connection.redis)
    return load.reissued_units if load else 0


@pytest.mark.fault(
    "RabbitMQ: kill -9 of a worker",
    "completed, equal bytes, nothing computed twice",
)
def test_a_job_over_rabbitmq_survives_the_kill_9_of_a_worker(
    cluster: ClusterUnderTest, tmp_path: Path
) -> None:
    path = write_wav(tmp_path / "speech.wav", recording(59, seed=40)[0])
    job = submit(cluster, path)
    in_mid_run(cluster, job)
    cluster.kill_gpu_worker(random.Random(1))
    assert_completed_once(cluster, job, path)
    units = computed(cluster, job)
    assert len(units) == len(set(units))
    assert len([stage for stage, _ in units if stage == "transcribe"]) >= 9
    redis = cluster.connection.redis
    assert not any(redis.exists(name) for name in (*queues(), "unacked"))
    assert cluster.connection.queues.lengths() == dict.fromkeys(queues(), 0)
    print(f"\n{reissued_units(cluster)} units were issued again")


@pytest.mark.heavy
def test_either_broker_gives_the_same_bytes(
    cluster: ClusterUnderTest, start_cluster: StartCluster, speech: Path
) -> None:
    job = cluster.wait(submit(cluster, speech, "fake"))
    assert job.status == "completed" and job.chunks.total == 20
    assert reissued_units(cluster) == 0
    data = cluster.result_bytes(job)
    cluster.local.close()
    over_redis = start_cluster(name="over-redis")
    assert data == over_redis.result_bytes(over_redis.wait(submit(over_redis, speech, "fake")))


@pytest.mark.fault(
    "RabbitMQ is away for 10 s",
    "the job completes",
)
@pytest.mark.heavy
def test_a_rabbitmq_that_is_away_for_10_seconds_only_delays_the_job(
    cluster: ClusterUnderTest, rabbit: RabbitServer, speech: Path
) -> None:
    job = submit(cluster, speech)
    in_mid_run(cluster, job)
    rabbit.stop()
    time.sleep(10)
    rabbit.start()  # with every message that no worker had acknowledged
    started = time.monotonic()
    assert_completed_once(cluster, job, speech)
    print(f"\ncompleted {time.monotonic() - started:.1f} s after RabbitMQ came back")


@pytest.mark.fault(
    "RabbitMQ: the queues are purged",
    "lost units are issued again",
)
@pytest.mark.heavy
def test_messages_that_were_purged_are_issued_again(
    cluster: ClusterUnderTest, speech: Path
) -> None:
    job = submit(cluster, speech)
    in_mid_run(cluster, job)
    with cluster.connection.celery.connection_for_write() as connection:
        purged = sum(connection.default_channel.queue_purge(name) for name in queues())
    assert purged > 0
    assert_completed_once(cluster, job, speech)
    print(f"\n{purged} messages purged, {reissued_units(cluster)} units issued again")
    assert reissued_units(cluster) >= purged / 2


@pytest.mark.fault(
    "RabbitMQ: Redis is wiped",
    "rebuilt from the store, the job completes",
)
@pytest.mark.heavy
def test_a_wiped_redis_is_rebuilt_while_rabbitmq_keeps_its_messages(
    cluster: ClusterUnderTest, speech: Path
) -> None:
    job = submit(cluster, speech)
    in_mid_run(cluster, job)
    cluster.connection.redis.flushall()
    assert_completed_once(cluster, job, speech)
    print(f"\n{reissued_units(cluster)} units were issued again")


@pytest.mark.fault(
    "RabbitMQ closes a worker's connection",
    "the unit is finished, not done twice",
)
@pytest.mark.heavy
def test_a_worker_that_rabbitmq_cuts_off_finishes_its_unit(
    tmp_path: Path, request: pytest.FixtureRequest, start_cluster: StartCluster
) -> None:
    server = rabbit_server(tmp_path / "impatient", "consumer_timeout = 5000")  # ms; checked at 60 s
    request.addfinalizer(server.stop)
    cluster = start_cluster(workers=1, broker_url=SecretStr(server.url))
    path = write_wav(tmp_path / "speech.wav", recording(145, seed=3)[0])
    job = cluster.submit(path, model="fake-1x", language="en", chunk_seconds=300.0)
    assert cluster.wait(job).status == "completed"
    assert computed(cluster, job).count(("transcribe", 0)) == 1
    assert "delivery acknowledgement" in (cluster.local.logs / "gpu0.log").read_text()
    (line,) = [it for it in cluster.events("unit_ended", job) if it["stage"] == "transcribe"][:1]
    print(f"\ncut off in a unit of {line['seconds']:.0f} s")


@pytest.mark.heavy
def test_a_message_is_on_disk_when_it_counts_as_sent(rabbit: RabbitServer) -> None:
    values = Settings(broker_url=SecretStr(rabbit.url))
    with make_app(values, only_sends=True) as celery:
        started = time.monotonic()
        for index in range(500):
            signature(celery, a_unit(index=index), Lane.BULK).apply_async(ignore_result=True)
        seconds = time.monotonic() - started
    rabbit.kill()
    rabbit.start()
    with make_app(values, only_sends=True) as celery, celery.connection_for_write() as connection:
        assert connection.default_channel.queue_purge("transcribe.bulk") == 500
    print(f"\n500 messages confirmed in {seconds:.1f} s")


@pytest.mark.fault(
    "RabbitMQ: kill -9 of the Celery trigger",
    "one job a message",
)
@pytest.mark.heavy
def test_other_services_submit_over_rabbitmq_while_the_trigger_is_killed(
    rabbit: RabbitServer, tmp_path: Path, s3_endpoint: str, s3_shared_client: Any, bucket: str
) -> None:
    path = write_wav(tmp_path / "talk.wav", recording(20, seed=4)[0])
    s3_shared_client.upload_file(str(path), bucket, "talk.wav")
    asked = {
        "source": f"s3://{bucket}/talk.wav",
        "options": {"model": "fake", "language": "en", "aligner": "cross_attention"},
    }
    values = quick_settings(
        tmp_path / "home",
        broker_url=SecretStr(rabbit.url),
        source_buckets=bucket,
        s3_endpoint_url=s3_endpoint,
    )
    with LocalCluster(values, workers=1, celery_trigger=True) as local:
        redis_url = local.services.settings.redis_url
        assert redis_url is not None
        sender = Celery(
            "elsewhere",
            broker=rabbit.url,
            backend=redis_url.get_secret_value(),
            set_as_current=False,
        )
        replies = [
            sender.send_task("scriptorium.submit", kwargs=asked, queue="submit") for _ in range(12)
        ]
        for _ in range(3):
            pids = local.supervisor.children()
            os.killpg(next(pids[name] for name in pids if "submit" in name), signal.SIGKILL)
            time.sleep(1.0)
        jobs = {reply.get(timeout=60)["job"]["id"] for reply in replies}
        sender.close()
        assert len(jobs) == 12
        for job in follow(local.services, "default", list(jobs)):
            assert not job.status.final or job.status == "completed"

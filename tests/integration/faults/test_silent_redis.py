"""Redis answers nothing for a while, again and again: no pause counts as a death of the worker."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.own_redis import OwnRedis

PAUSES = 5
PAUSE_SECONDS = 40.0  # longer than the client's patience and than a lease


@pytest.mark.fault(
    "Redis answers nothing for 40 s, up to five times",
    "no pause counts as a death, completed, equal bytes",
)
@pytest.mark.heavy
def test_pauses_of_redis_while_a_chunk_is_computed_do_not_give_it_up(
    start_cluster: StartCluster, own_redis: OwnRedis, tmp_path: Path, figure: Figure
) -> None:
    cluster = start_cluster(
        workers=1, redis_url=SecretStr(own_redis.url), lease_seconds=30.0, heartbeat_seconds=5.0
    )
    path = write_wav(tmp_path / "speech.wav", recording(58, seed=6)[0])
    options = {"language": "en", "chunk_seconds": 60.0, "batch_size": 1}
    job = cluster.submit(path, model="fake-4x", **options)

    def begun() -> int:
        return sum(it["stage"] == "transcribe" for it in cluster.events("unit_started", job))

    def is_final() -> bool:
        return cluster.connection.job(TENANT, job.id).status.final

    paused = 0
    for number in range(PAUSES):
        cluster.wait_until(lambda: begun() > number or is_final(), 150.0)  # noqa: B023
        if is_final():
            break
        time.sleep(2.0)  # the chunk takes about fifteen
        own_redis.pause(PAUSE_SECONDS)
        paused += 1
    assert cluster.wait(job).status == "completed"
    figure(f"{paused} pauses of {PAUSE_SECONDS:.0f} s, the chunk was begun {begun()} times")
    calm = cluster.wait(cluster.submit(path, model="fake", **options))
    assert cluster.result_bytes(job) == cluster.result_bytes(calm)

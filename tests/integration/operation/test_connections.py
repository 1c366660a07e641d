"""A worker's connections to Redis are few, and do not grow with its threads."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from redis import Redis

from tasks.connections import (
    MESSAGES,
    MOST_MESSAGES,
    MOST_RESULTS,
    MOST_STATE,
    RESULTS,
    STATE,
    WAITING,
)
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import ClusterUnderTest
from tests.integration.conftest import StartCluster

AT_ONCE = 6  # units of the GPU worker
MOST = {WAITING: 2, MESSAGES: MOST_MESSAGES, RESULTS: MOST_RESULTS, STATE: MOST_STATE}


def test_a_busy_worker_has_ten_connections_at_most_and_an_idle_one_four(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(1, pools={"gpu": {"concurrency": AT_ONCE}})
    logs = [cluster.local.logs / name for name in ("gpu0.log", "cpu.log")]
    cluster.wait_until(lambda: all(log.exists() and "ready." in log.read_text() for log in logs))
    cluster.wait_until(lambda: connections(cluster).total() >= 8)
    time.sleep(1.0)  # and no more come
    idle = connections(cluster)
    jobs = [
        cluster.submit(
            write_wav(tmp_path / f"{seed}.wav", recording(60.0, seed=seed)[0]),
            model="fake-20x", language="en", chunk_seconds=6.0,
        )
        for seed in range(3)
    ]  # fmt: skip
    busy: Counter[tuple[int, str]] = Counter()
    while cluster.connection.jobs.open_runs():
        busy |= connections(cluster)  # of each name the most
        time.sleep(0.1)
    assert all(cluster.wait(job).status == "completed" for job in jobs)

    (gpu,) = cluster.gpu_worker_pids()
    assert {pid for pid, _ in busy} >= {gpu}
    expected = {WAITING: 2, MESSAGES: 1, STATE: 1}  # the last tells that the worker is there
    assert all(count == expected[name] for (_, name), count in idle.items())
    assert idle.total() == 8
    print(sorted(busy.items()))
    for (pid, name), count in busy.items():
        assert count <= MOST[name], (pid, name)


def connections(cluster: ClusterUnderTest) -> Counter[tuple[int, str]]:
    """How many connections to Redis each process of a worker has, by their name."""
    redis: Redis = cluster.connection.redis
    owners: dict[tuple[int, int], int] = {}
    for pid in cluster.local.supervisor.children().values():
        for process in (root := psutil.Process(pid), *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # a decoder that has ended
                for link in process.net_connections("tcp"):
                    if link.raddr:
                        owners[link.laddr.port, link.raddr.port] = process.pid
    listed: list[dict[str, Any]] = redis.client_list()
    (port,) = {int(client["laddr"].rpartition(":")[2]) for client in listed}
    found: Counter[tuple[int, str]] = Counter()
    for client in listed:
        owner = owners.get((int(client["addr"].rpartition(":")[2]), port))
        if owner is not None:
            found[owner, client["name"]] += 1
    return found

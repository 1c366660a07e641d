"""Workers come with a burst and go after it; one that is told to go finishes or hands back."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.cluster.job import Job
from orchestrator.local.process import Child
from orchestrator.local.workers import WorkerSpec, worker_program
from tasks.runs.stages import Pool
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import PATIENT, ClusterUnderTest, outsider
from tests.integration.conftest import StartCluster

JOBS, CHUNKS, CHUNK_SECONDS = 8, 12, 6.0
POOLS = {"gpu": {"target_drain_seconds": 5.0, "scale_down_seconds": 1.0}}
BURST_MODEL = "fake-4x"  # one worker alone has work until the fourth has begun on a busy machine
SLOW_PREPARE = "tests.faults.slow_prepare"
LEASE_SECONDS = PATIENT["lease_seconds"]  # a worker that goes on sooner did not wait for it


def test_one_worker_becomes_four_in_a_burst_and_one_after_it(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(None, min_workers=1, max_workers=4, pools=POOLS, **PATIENT)
    paths = talks(tmp_path)
    sizes = {len(cluster.gpu_worker_pids())}
    jobs = [
        cluster.submit(path, model=BURST_MODEL, language="en", chunk_seconds=CHUNK_SECONDS)
        for path in paths
    ]

    def is_over() -> bool:
        sizes.add(len(cluster.gpu_worker_pids()))
        return not cluster.connection.jobs.open_runs()

    cluster.wait_until(is_over, 300.0)
    cluster.wait_until(lambda: len(cluster.gpu_worker_pids()) == 1)
    cluster.wait_until(lambda: not cluster.local.supervisor.retiring())
    drains = cluster.local.supervisor.drains()
    worked = {line["worker"] for line in cluster.events("unit_ended") if is_computed(line)}
    for drain in drains:
        print(f"{drain.name} ended {drain.seconds:.1f} s after it was told to")

    assert max(sizes) == 4 and len({name for name in worked if name.startswith("gpu")}) == 4
    assert len(drains) >= 3
    assert not any(drain.was_killed or drain.exit_status for drain in drains)
    for job in jobs:
        assert cluster.wait(job).status == "completed"
        check_done_once(cluster, job)


def test_a_gpu_worker_finishes_its_chunk_when_it_is_told_to_end(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(1, **PATIENT)
    path = write_wav(tmp_path / "talk.wav", recording(4 * CHUNK_SECONDS - 1, seed=41)[0])
    with outsider(cluster, WorkerSpec("gpu9@elsewhere", Pool.GPU)) as worker:
        job = cluster.submit(path, model="fake-2x", language="en", chunk_seconds=CHUNK_SECONDS)
        cluster.wait_until(lambda: bool(lines_of(cluster, "unit_started", worker, job)))
        told = now()
        worker.terminate()
        assert worker.wait(60.0) and worker.exit_status == 0
        assert cluster.wait(job).status == "completed"
    (begun,) = lines_of(cluster, "unit_started", worker, job)
    (ended,) = lines_of(cluster, "unit_ended", worker, job)
    assert begun["timestamp"] < told < ended["timestamp"]
    assert ended["chunk"] == begun["chunk"] and is_computed(ended)
    check_done_once(cluster, job)


def test_a_cpu_worker_hands_its_task_back_when_it_is_told_to_end(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(1, lease_seconds=LEASE_SECONDS, plugins=(SLOW_PREPARE,))
    supervisor = cluster.local.supervisor
    (own,) = (name for name in supervisor.children() if name.startswith("cpu"))
    supervisor.retire(own, 60.0)
    cluster.wait_until(lambda: own not in supervisor.children())
    path = write_wav(tmp_path / "talk.wav", recording(4 * CHUNK_SECONDS - 1, seed=42)[0])
    spec = WorkerSpec("cpu9@elsewhere", Pool.CPU, plugins=(SLOW_PREPARE,))
    with outsider(cluster, spec) as worker:
        job = cluster.submit(path, model="fake", language="en", chunk_seconds=CHUNK_SECONDS)
        cluster.wait_until(lambda: bool(lines_of(cluster, "unit_started", worker, job)))
        other = WorkerSpec("cpu8@elsewhere", Pool.CPU, plugins=(SLOW_PREPARE,))
        supervisor.add(worker_program(other, cluster.connection.settings, cluster.local.logs))
        told = now()
        worker.terminate()
        assert worker.wait(60.0)
        assert cluster.wait(job).status == "completed"
    assert lines_of(cluster, "unit_ended", worker, job) == []
    (first, second) = (
        line for line in cluster.events("unit_started", job) if line["stage"] == "prepare"
    )
    assert (first["worker"], second["worker"]) == (worker.name, other.name)
    waited = datetime.fromisoformat(second["timestamp"]) - datetime.fromisoformat(told)
    print(f"another worker went on {waited.total_seconds():.1f} s after the signal")
    assert waited.total_seconds() < LEASE_SECONDS / 2
    check_done_once(cluster, job)


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def lines_of(
    cluster: ClusterUnderTest, event: str, worker: Child, job: Job
) -> list[dict[str, Any]]:
    return [line for line in cluster.events(event, job) if line["worker"] == worker.name]


def talks(directory: Path) -> list[Path]:
    """Files of which no chunk is like another."""
    samples, _ = recording(JOBS * CHUNKS * CHUNK_SECONDS, seed=40)
    length = int(CHUNKS * CHUNK_SECONDS * 16_000)
    return [
        write_wav(directory / f"{number}.wav", part)
        for number, part in enumerate(np.split(samples[: JOBS * length], JOBS))
    ]


def is_computed(line: dict[str, Any]) -> bool:
    return bool(line["outcome"] == "computed")


def check_done_once(cluster: ClusterUnderTest, job: Job) -> None:
    """Each chunk was begun once and computed."""
    chunks = cluster.wait(job).chunks.total
    assert chunks > 1
    begun = Counter(
        line["chunk"]
        for line in cluster.events("unit_started", job)
        if line["stage"] == "transcribe"
    )
    assert begun == Counter(range(chunks))
    ended = [
        line["chunk"]
        for line in cluster.events("unit_ended", job)
        if line["stage"] == "transcribe" and is_computed(line)
    ]
    assert sorted(ended) == list(range(chunks))

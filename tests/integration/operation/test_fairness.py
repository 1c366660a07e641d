"""A tenant's flood delays another tenant by no more than a unit, in every stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cluster.job import Job
from orchestrator.jobs.following import follow
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from tasks.runs.submitted_options import job_options
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import ClusterUnderTest
from tests.integration.conftest import StartCluster


def submitted(cluster: ClusterUnderTest, file: Path, tenant: str, **options: object) -> Job:
    source = upload(cluster.connection, file, tenant)
    given = {"model": "fake-20x", "language": "en", "aligner": "cross_attention", **options}
    return submit(cluster.connection, source, job_options(given), tenant=tenant)


def wait(cluster: ClusterUnderTest, *jobs: Job) -> None:
    for job in follow(cluster.connection, jobs[0].tenant, [job.id for job in jobs]):
        assert not job.status.final or job.status == "completed"


def prepared(cluster: ClusterUnderTest) -> list[str]:
    """The jobs whose preparation has begun, in this order."""
    begun = cluster.events("unit_started")
    return [str(line["job"]) for line in begun if line["stage"] == "prepare"]


@pytest.mark.slow
def test_a_clip_behind_a_flood_of_another_tenant_is_prepared_at_once(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=1, plugins=("tests.faults.slow_prepare",))
    files = [
        write_wav(tmp_path / f"{seed}.wav", recording(8, seed=seed)[0]) for seed in range(300, 309)
    ]
    flood = [submitted(cluster, file, "flood") for file in files[:-1]]
    guest = submitted(cluster, files[-1], "guest")
    came_before = len(prepared(cluster))
    wait(cluster, guest)
    place = prepared(cluster).index(guest.id)
    print(f"\n{came_before} of the flood's 8 files were in work when it came, {place} before it")
    assert place <= came_before + 2  # two may be taken and not yet begun
    wait(cluster, *flood)


def test_a_long_file_and_many_short_ones_of_another_tenant_advance_together(
    start_cluster: StartCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_GATE", str(tmp_path / "gate"))
    cluster = start_cluster(workers=1, plugins=("tests.faults.gated_engine",))
    sound, _ = recording(200, seed=320)
    long = submitted(
        cluster, write_wav(tmp_path / "long.wav", sound), "long", chunk_seconds=5.0, lane="bulk"
    )
    cluster.wait_until(lambda: cluster.connection.job("long", long.id).chunks.total > 0)
    shorts = [
        submitted(
            cluster,
            write_wav(tmp_path / f"s{number}.wav", sound[number * 16_000 : (number + 5) * 16_000]),
            "short",
            lane="bulk",
        )
        for number in range(25)
    ]
    cluster.wait_until(
        lambda: all(cluster.connection.job("short", job.id).chunks.total for job in shorts)
    )
    (tmp_path / "gate").touch()
    wait(cluster, *shorts)
    wait(cluster, long)
    heard = [it["job"] for it in cluster.events("unit_ended") if it["stage"] == "transcribe"]
    last = max(place for place, job in enumerate(heard) if job != long.id)
    progress = heard[:last].count(long.id) / heard.count(long.id)
    print(f"\nthe long file was {progress:.0%} done when the 25 short ones were")
    assert 0.2 < progress < 0.95

"""A tenant over its quota of audio is told so, and gets its room back when a job ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.access import QuotaExceeded
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.job import Job
from orchestrator.jobs.runs import cancel
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from tasks.runs.submitted_options import job_options
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster

SECONDS, MOST = 60, 100.0


def submitted(cluster: ClusterUnderTest, file: Path, model: str = "fake-20x") -> Job:
    to = cluster.connection
    options = {"model": model, "language": "en", "aligner": "cross_attention"}
    source, quota = upload(to, file, TENANT), quota_of(to.settings, TENANT)
    return submit(to, source, job_options(options), tenant=TENANT, quota=quota)


def in_flight(cluster: ClusterUnderTest) -> float:
    return cluster.connection.jobs.in_flight(TENANT).audio_seconds


def is_measured(cluster: ClusterUnderTest) -> bool:
    return not cluster.connection.jobs.unmeasured()


def test_room_for_audio_comes_back_with_a_job_s_end_and_is_the_same_after_a_wipe(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=1, quotas={TENANT: {"audio_seconds_in_flight": MOST}})
    file = write_wav(tmp_path / "talk.wav", recording(SECONDS, seed=18)[0])
    first = submitted(cluster, file, "fake-2x")
    cluster.wait_until(lambda: is_measured(cluster))
    assert in_flight(cluster) == pytest.approx(SECONDS, abs=3)
    with pytest.raises(QuotaExceeded, match="audio_seconds_in_flight"):
        submitted(cluster, file)

    before = in_flight(cluster)
    cluster.connection.redis.flushall()
    cluster.wait_until(lambda: in_flight(cluster) > 0)
    assert in_flight(cluster) == before
    with pytest.raises(QuotaExceeded):
        submitted(cluster, file)

    cancel(cluster.connection, TENANT, first.id)
    assert in_flight(cluster) == 0
    second = submitted(cluster, file)
    cluster.wait(second)
    cluster.wait_until(lambda: in_flight(cluster) == 0)

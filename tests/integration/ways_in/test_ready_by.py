"""A job that has hours is done at once by an idle cluster, and ends as any other."""

from __future__ import annotations

import time
from pathlib import Path

from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from tasks.runs.submitted_options import job_options
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import PATIENCE_SECONDS, TENANT
from tests.integration.conftest import StartCluster


def test_an_idle_cluster_does_early_work_at_once(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=1)
    path = write_wav(tmp_path / "speech.wav", recording(60, seed=3)[0])
    options = {"model": "fake", "chunk_seconds": 10.0, "language": "en", "aligner": "ctc"}
    plain = cluster.wait(cluster.submit(path, **options))
    job = submit(
        cluster.connection,
        upload(cluster.connection, path, TENANT),
        job_options(options | {"beam_size": 2}),
        tenant=TENANT,
        ready_by=time.time() + 8 * 3600,
    )
    began = time.monotonic()
    ended = cluster.wait(job)
    assert ended.status == "completed" and ended.ready_by is not None
    assert time.monotonic() - began < PATIENCE_SECONDS  # it has eight hours
    assert cluster.words(job) == cluster.words(plain)

"""The same job through a real S3 server, source and artifacts both in buckets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.submission import submit
from tasks.manifest import Source
from tasks.options import job_options
from tests.integration.cluster import TENANT
from tests.integration.conftest import StartCluster
from tests.speech import recording, write_wav


def test_an_object_of_a_bucket_is_transcribed_with_all_artifacts_in_s3(
    start_cluster: StartCluster,
    tmp_path: Path,
    s3_endpoint: str,
    s3_shared_client: Any,
    bucket: str,
) -> None:
    path = write_wav(tmp_path / "speech.wav", recording(60, seed=95)[0])
    s3_shared_client.upload_file(str(path), bucket, "calls/a b+ü.wav")
    cluster = start_cluster(
        workers=2, store_url=f"s3://{bucket}/scriptorium", s3_endpoint_url=s3_endpoint
    )
    chosen = {
        "model": "fake", "chunk_seconds": 10.0, "language": "en", "aligner": "ctc",
        "diarize": True, "shard_seconds": 16.0,
    }  # fmt: skip
    options = job_options(chosen)
    source = Source(name="a b+ü.wav", url=f"s3://{bucket}/calls/a b+ü.wav")
    job = cluster.wait(submit(cluster.connection, source, options, tenant=TENANT))

    local = start_cluster(workers=1, name="local")
    same = local.wait(local.submit(path, **chosen))
    assert job.status == same.status == "completed"
    assert cluster.result_bytes(job) == local.result_bytes(same)


def test_an_object_that_is_gone_fails_the_job_with_source_missing(
    start_cluster: StartCluster, s3_endpoint: str, bucket: str
) -> None:
    cluster = start_cluster(
        workers=1, store_url=f"s3://{bucket}/scriptorium", s3_endpoint_url=s3_endpoint
    )
    source = Source(name="gone.wav", url=f"s3://{bucket}/gone.wav")
    job = cluster.wait(
        submit(cluster.connection, source, job_options({"model": "fake"}), tenant=TENANT)
    )
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "source_missing"

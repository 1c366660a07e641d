"""The same job through a real S3 server, source and artifacts both in buckets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from orchestrator.jobs.submission import submit
from tasks.runs.manifest import Source
from tasks.runs.submitted_options import job_options
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT
from tests.integration.conftest import StartCluster
from tests.servers.api import serving


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


def test_a_file_goes_straight_into_the_bucket_and_becomes_a_job(
    start_cluster: StartCluster, tmp_path: Path, s3_endpoint: str, bucket: str
) -> None:
    sound = write_wav(tmp_path / "speech.wav", recording(10, seed=96)[0]).read_bytes()
    cluster = start_cluster(
        workers=1, store_url=f"s3://{bucket}/scriptorium", s3_endpoint_url=s3_endpoint
    )
    with serving(cluster.connection) as address, httpx.Client(base_url=address) as http:
        upload = http.post("/v1/uploads", json={"name": "a.wav", "size": len(sound)}).json()
        assert upload["url"].startswith(f"{s3_endpoint}/{bucket}/")
        assert httpx.put(upload["url"], content=sound).status_code == 200
        asked = {"upload_id": upload["id"], "options": {"model": "fake", "language": "en"}}
        job = http.post("/v1/jobs", json=asked).json()
        ended = cluster.wait(cluster.connection.job(TENANT, job["id"]))
        assert (ended.status, ended.name) == ("completed", "a.wav")
        http.delete(f"/v1/jobs/{job['id']}").raise_for_status()
        assert not list(cluster.connection.store.list(f"tenants/{TENANT}/uploads/"))

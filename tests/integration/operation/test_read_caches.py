"""What workers read twice from S3, they read once: the second read is from memory or the disk."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from orchestrator.jobs.deletion import delete_job
from tasks.runs import usage_keys
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import PATIENT, TENANT
from tests.integration.conftest import StartCluster

OPTIONS = {"model": "fake", "language": "en", "aligner": "ctc", "chunk_seconds": 10.0}
LEVELS = ("memory", "disk", "store")


def hits(metrics: Path) -> dict[str, float]:
    """The hits of all workers at each level."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(metrics))
    value = registry.get_sample_value
    name = "scriptorium_cache_requests_total"
    return {level: value(name, {"level": level, "result": "hit"}) or 0.0 for level in LEVELS}


def test_align_hears_the_audio_that_transcribe_has_read(
    start_cluster: StartCluster, tmp_path: Path, s3_endpoint: str, bucket: str
) -> None:
    scratch, metrics = tmp_path / "scratch", tmp_path / "metrics"
    metrics.mkdir()
    cluster = start_cluster(
        workers=1,
        store_url=f"s3://{bucket}/scriptorium",
        s3_endpoint_url=s3_endpoint,
        work_dir=scratch,
        metrics_dir=metrics,
        **PATIENT,
    )
    path = write_wav(tmp_path / "speech.wav", recording(40, seed=31)[0])
    job = cluster.wait(cluster.submit(path, **OPTIONS))
    assert job.status == "completed"
    chunks = job.chunks.total
    found = hits(metrics)
    print(f"\n{chunks} chunks, hits {found}")
    assert chunks > 2
    # From memory: each chunk's audio and text, in `align`. From the disk: text and aligned words,
    # in `assemble`, which is another process. From the store: the audio, in `transcribe`.
    assert found == {"memory": 2 * chunks, "disk": 2 * chunks, "store": chunks}
    copies = list(scratch.glob("scriptorium-cache-*/*/*"))
    assert len(copies) == 3 * chunks + 1  # and where `prepare` has cut the audio


def test_a_file_that_is_submitted_again_after_its_deletion_is_computed_again(
    start_cluster: StartCluster, tmp_path: Path, s3_endpoint: str, bucket: str
) -> None:
    cluster = start_cluster(
        workers=1,
        store_url=f"s3://{bucket}",
        s3_endpoint_url=s3_endpoint,
        work_dir=tmp_path / "scratch",
        lease_seconds=2.0,
        heartbeat_seconds=0.5,
        audit_seconds=1.0,
    )
    path = write_wav(tmp_path / "speech.wav", recording(20, seed=32)[0])
    first = cluster.wait(cluster.submit(path, **OPTIONS))
    published = cluster.result_bytes(first)
    delete_job(cluster.connection, TENANT, first.id)
    kept = usage_keys.RUNS  # what was used outlives the job
    store = cluster.connection.store
    cluster.wait_until(lambda: all(key.startswith(kept) for key in store.list("")))
    assert list((tmp_path / "scratch").glob("scriptorium-cache-*/*/*"))  # copies, for a while

    second = cluster.wait(cluster.submit(path, **OPTIONS))
    assert second.status == "completed"
    assert cluster.result_bytes(second) == published
    outcomes = [line["outcome"] for line in cluster.events("unit_ended", second)]
    assert outcomes == ["computed"] * len(outcomes)
    assert len(outcomes) == 2 + 2 * second.chunks.total  # prepare, assemble, and each chunk's two

"""A transcript as files in its submitter's bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from config.settings import Settings
from gpu_worker.assembly.formats import FORMATS
from gpu_worker.transcript import Segment, Transcript, Turn, transcript_to_json
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Summary
from orchestrator.outbox.outputs import OutputRefused, write_outputs
from orchestrator.results.speaker_names import name_speakers
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Output
from tasks.runs.records import result_record
from tests.inputs.examples import JOB, TENANT, a_manifest, a_run, write_records

RUN = a_run()
TRANSCRIPT = Transcript(
    "de",
    2.0,
    (Segment(0.5, 1.5, "Grüß Gott.", speaker="SPEAKER_00"),),
    turns=(Turn(0.5, 1.5, "SPEAKER_00"),),
)


@pytest.fixture
def cluster(settings: Settings, redis: Redis, s3_endpoint: str) -> Iterator[Cluster]:
    opened = open_cluster(settings.model_copy(update={"s3_endpoint_url": s3_endpoint}))
    yield opened
    opened.close()


def ended(
    cluster: Cluster, bucket: str, formats: tuple[str, ...] = ("json",), **result: Any
) -> tuple[Manifest, Summary]:
    """A job that ended with this, and where its output goes."""
    output = Output(url=f"s3://{bucket}/talks/a b+ü", formats=formats)
    manifest = a_manifest().model_copy(update={"output": output})
    write_records(cluster.store, manifest)
    record = result_record(**(result or {"transcript": transcript_to_json(TRANSCRIPT)}))
    cluster.store.put(keys.of_run(RUN, keys.RESULT), encode(record))
    return manifest, Summary.of_result(record)


def listed(client: Any, bucket: str) -> list[str]:
    found = client.list_objects_v2(Bucket=bucket).get("Contents", ())
    return [item["Key"] for item in found]


def read(client: Any, bucket: str, extension: str) -> tuple[str, str]:
    found = client.get_object(Bucket=bucket, Key=f"talks/a b+ü{extension}")
    return found["Body"].read().decode(), found["ContentType"]


def test_every_format_is_a_file_of_its_type(
    cluster: Cluster, s3_shared_client: Any, bucket: str
) -> None:
    manifest, summary = ended(cluster, bucket, tuple(FORMATS))
    write_outputs(cluster, manifest, RUN, summary)
    assert listed(s3_shared_client, bucket) == sorted(
        f"talks/a b+ü{form.extension}" for form in FORMATS.values()
    )
    text, media_type = read(s3_shared_client, bucket, ".txt")
    assert (text, media_type) == ("[SPEAKER_00]: Grüß Gott.\n", "text/plain; charset=utf-8")
    text, media_type = read(s3_shared_client, bucket, ".json")
    assert (json.loads(text)["job"], media_type) == (JOB, "application/json")


def test_writing_twice_leaves_the_same(
    cluster: Cluster, s3_shared_client: Any, bucket: str
) -> None:
    manifest, summary = ended(cluster, bucket)
    write_outputs(cluster, manifest, RUN, summary)
    first = read(s3_shared_client, bucket, ".json")
    write_outputs(cluster, manifest, RUN, summary)
    assert read(s3_shared_client, bucket, ".json") == first


def test_names_of_speakers_are_written_too(
    cluster: Cluster, s3_shared_client: Any, bucket: str
) -> None:
    manifest, summary = ended(cluster, bucket, ("rttm",))
    name_speakers(cluster, TENANT, JOB, {"SPEAKER_00": "Anna"})
    write_outputs(cluster, manifest, RUN, summary)
    assert " Anna " in read(s3_shared_client, bucket, ".rttm")[0]


def test_of_a_failed_job_the_error_is_written(
    cluster: Cluster, s3_shared_client: Any, bucket: str
) -> None:
    error = {"type": "permanent", "code": "unreadable_audio", "message": "No.", "hint": "Look."}
    manifest, summary = ended(cluster, bucket, error=error)
    write_outputs(cluster, manifest, RUN, summary)
    assert listed(s3_shared_client, bucket) == ["talks/a b+ü.error.json"]
    job = json.loads(read(s3_shared_client, bucket, ".error.json")[0])
    assert (job["id"], job["status"], job["error"]) == (JOB, "failed", error)


def test_a_canceled_job_writes_nothing(
    cluster: Cluster, s3_shared_client: Any, bucket: str
) -> None:
    manifest, summary = ended(cluster, bucket, canceled=True)
    write_outputs(cluster, manifest, RUN, summary)
    assert listed(s3_shared_client, bucket) == []


def test_a_run_that_was_overtaken_writes_nothing(
    cluster: Cluster, s3_shared_client: Any, bucket: str
) -> None:
    manifest, summary = ended(cluster, bucket)
    cluster.store.put(keys.of_run(a_run(2), "started.json"), b"{}")
    write_outputs(cluster, manifest, RUN, summary)
    assert listed(s3_shared_client, bucket) == []


def test_the_error_of_an_earlier_run_goes_when_the_next_one_succeeds(
    cluster: Cluster, s3_shared_client: Any, bucket: str
) -> None:
    error = {"type": "permanent", "code": "unreadable_audio", "message": "No.", "hint": "Look."}
    manifest, summary = ended(cluster, bucket, error=error)
    write_outputs(cluster, manifest, RUN, summary)
    following = a_run(2)
    record = result_record(transcript=transcript_to_json(TRANSCRIPT))
    cluster.store.put(keys.of_run(following, "started.json"), b"{}")
    cluster.store.put(keys.of_run(following, keys.RESULT), encode(record))
    cluster.jobs.add(manifest, a_run(2))
    write_outputs(cluster, manifest, following, Summary.of_result(record))
    assert listed(s3_shared_client, bucket) == ["talks/a b+ü.json"]


def test_a_bucket_that_is_not_there_is_refused(cluster: Cluster) -> None:
    manifest, summary = ended(cluster, "nowhere-at-all")
    with pytest.raises(OutputRefused, match="nowhere-at-all"):
        write_outputs(cluster, manifest, RUN, summary)


def test_a_job_without_an_output_writes_nothing(cluster: Cluster) -> None:
    write_outputs(cluster, a_manifest(), RUN, Summary())

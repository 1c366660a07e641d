"""The receipts of a run, as the artifacts have them when no `assemble` has read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.stages import Stage
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tasks.usage.evidence import Evidence
from tasks.usage.record import run_usage
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, write_records
from tests.inputs.speech import recording, write_wav
from tests.unit.tasks.inline import run_job


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "speech.wav", recording(29, seed=5)[0])


def begin(connection: Cluster, speech: Path) -> Run:
    """A job with every stage."""
    options = job_options(
        {"model": "fake", "chunk_seconds": 10.0, "aligner": "ctc", "diarize": True,
         "shard_seconds": 16.0}
    )  # fmt: skip
    job = submit(connection, upload(connection, speech, TENANT), options, tenant=TENANT)
    return Run(TENANT, job.id, 1)


def test_they_are_those_that_assemble_counts(
    connection: Cluster, place: Workplace, redis: Redis, speech: Path
) -> None:
    run = begin(connection, speech)
    run_job(redis, connection.job(TENANT, run.job))
    found = Evidence(connection.store, connection.records).receipts(run)
    assert {stage: len(receipts) for stage, receipts in found.items()} == {
        Stage.PREPARE: 1, Stage.DETECT_LANGUAGE: 1, Stage.TRANSCRIBE: 4, Stage.ALIGN: 4,
        Stage.EMBED_SPEAKERS: 2, Stage.DIARIZE: 1,
    }  # fmt: skip
    (counted,) = connection.books.reader.records()
    assert counted == run_usage(run, found, 0.0)
    prepared = counted.figures["prepare", "cpu"]
    plan = connection.records.plan(TENANT, run.job)
    pcm = connection.store.size(keys.pcm(TENANT, plan.audio))
    assert pcm is not None and pcm < prepared.stored_bytes < pcm + 1000
    heard = counted.figures["transcribe", "cpu"]
    assert heard.audio_seconds == pytest.approx(plan.seconds) and heard.device_seconds > 0


def test_of_a_run_that_was_not_prepared_there_are_none(connection: Cluster, speech: Path) -> None:
    run = begin(connection, speech)
    evidence = Evidence(connection.store, connection.records)
    assert evidence.receipts(run) == {}
    assert evidence.unit_keys(run) == [keys.plan(TENANT, run.job)]


def test_a_receipt_beside_an_artifact_counts_only_with_the_artifact(connection: Cluster) -> None:
    manifest, plan = a_manifest(diarize=True, shard_seconds=16.0), a_plan(10)
    write_records(connection.store, manifest, plan)
    key = keys.embedded(TENANT, plan.audio, 0, manifest.options)
    connection.store.put(keys.receipt(key), b'{"seconds": 1.0}')
    evidence = Evidence(connection.store, connection.records)
    assert evidence.receipts(a_run()).keys() == {Stage.PREPARE}
    connection.store.put(key, b"voices")
    assert evidence.receipts(a_run()).keys() == {Stage.PREPARE, Stage.EMBED_SPEAKERS}
    assert key in evidence.unit_keys(a_run())

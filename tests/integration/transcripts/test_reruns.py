"""A finished job run again with other options computes what they change and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.job import Job
from orchestrator.jobs.submission import rerun
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import PATIENT, TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster

CHUNKS, SHARDS = 3, 2


@pytest.fixture
def finished(start_cluster: StartCluster, tmp_path: Path) -> tuple[ClusterUnderTest, Job]:
    """A job with words and speakers, whose source is gone."""
    cluster = start_cluster(**PATIENT)
    path = write_wav(tmp_path / "talk.wav", recording(30, seed=8)[0][: 30 * 16_000])
    job = cluster.submit(
        path, model="fake", language="en", aligner="ctc", diarize=True,
        chunk_seconds=10, shard_seconds=16,
    )  # fmt: skip
    assert cluster.wait(job).status == "completed"
    source = cluster.connection.records.manifest(TENANT, job.id).source.artifact
    cluster.connection.store.delete(source or "")
    return cluster, job


@pytest.mark.parametrize(
    ("changes", "computed"),
    [
        ({"max_speakers": 1}, ["assemble", "diarize"]),
        ({"aligner": "whisperx"}, ["align"] * CHUNKS + ["assemble"]),
        ({"aligner": "none", "diarize": False}, ["assemble"]),
        ({"diarize_model": "fake-9999x"}, ["assemble", "diarize"] + ["embed_speakers"] * SHARDS),
        ({}, ["assemble"]),
    ],
    ids=str,
)
def test_only_what_the_options_change_is_computed(
    finished: tuple[ClusterUnderTest, Job], changes: dict[str, Any], computed: list[str]
) -> None:
    cluster, first = finished
    before = cluster.result_bytes(first)
    again = cluster.wait(rerun(cluster.connection, TENANT, first.id, changes))
    assert again.status == "completed" and again.warnings == ()
    done = [
        line["stage"]
        for line in cluster.events("unit_ended", again)
        if line["outcome"] == "computed"
    ]
    assert sorted(done) == computed
    assert cluster.words(again) == cluster.words(first)
    assert cluster.result_bytes(first) == before
    if not changes:
        assert cluster.result_bytes(again) == before
    if "max_speakers" in changes:
        speakers = {turn["speaker"] for turn in cluster.result(again)["transcript"]["turns"]}
        assert speakers == {"SPEAKER_00"}

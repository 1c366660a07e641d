"""A failing aligner or diarizer costs word times or speakers, never the transcript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu_worker.diarization.models import COMMUNITY
from tests.faults.deadly_words import BROKEN, DEADLY
from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster

UNALIGNED, SPEAKERLESS = "words_not_aligned", "speakers_missing"


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "talk.wav", recording(30)[0])


@pytest.fixture
def not_a_pipeline(tmp_path: Path) -> Path:
    directory = tmp_path / "pipeline"
    directory.mkdir()
    (directory / "config.yaml").write_text("pipeline: {name: no.such.Pipeline}\n")
    return directory


@pytest.mark.fault(
    "the aligner's or the diarizer's model is missing, its hub is away, it crashes",
    "a transcript with a warning",
)
@pytest.mark.heavy
def test_a_transcript_is_published_with_a_warning_whatever_becomes_of_words_and_speakers(
    start_cluster: StartCluster,
    talk: Path,
    not_a_pipeline: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    no_model = str(not_a_pipeline)
    cluster = start_cluster(
        plugins=("tests.faults.deadly_words",),
        max_retries=1,
        allowed_models=f"fake,no-owner/no-model,{no_model}",
        trusted_diarize_models=f"no-owner/no-pipeline,{no_model}",
    )
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"aligner": "ctc", "align_model": no_model}, UNALIGNED, "model_unusable"),
        ({"aligner": "ctc", "align_model": "no-owner/no-model"}, UNALIGNED, "model_unavailable"),
        ({"aligner": "ctc", "align_model": BROKEN}, UNALIGNED, "internal_error"),
        ({"aligner": "ctc", "align_model": DEADLY}, UNALIGNED, "chunk_crashed"),
        ({"diarize_model": COMMUNITY}, SPEAKERLESS, "hub_token_missing"),
        ({"diarize_model": "no-owner/no-pipeline"}, SPEAKERLESS, "retries_exhausted"),
        ({"diarize_model": no_model}, SPEAKERLESS, "model_unusable"),
        ({"diarize_model": BROKEN}, SPEAKERLESS, "internal_error"),
        ({"diarize_model": DEADLY}, SPEAKERLESS, "chunk_crashed"),
    ]
    plain = cluster.submit(talk, model="fake", language="en")
    jobs = [cluster.submit(talk, model="fake", language="en", **options) for options, _, _ in cases]
    assert cluster.wait(plain).warnings == ()
    for job, (options, code, cause) in zip(jobs, cases, strict=True):
        ended = cluster.wait(job)
        assert ended.status == "completed", options
        assert [warning["code"] for warning in ended.warnings] == [code], options
        message = ended.warnings[0]["message"]
        print(f"{options}: {message}")
        assert f"({cause})" in message, options
        assert cluster.words(job) == cluster.words(plain), options
        assert all("start" in word for word in cluster.result(job)["transcript"]["word_segments"])

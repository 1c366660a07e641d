"""A model of NeMo's Parakeet kind through a whole cluster: named by a job, and by its language."""

from __future__ import annotations

from pathlib import Path

import jiwer

from gpu_worker.transcript import Transcript, transcript_from_json
from tests.inputs.parakeet_model import write_parakeet
from tests.inputs.speech import Utterance, recording, write_wav
from tests.integration.conftest import StartCluster

SECONDS = 25.0
NEAR = 0.3  # seconds from a sentence to a word of it


def check(transcript: Transcript, said: list[Utterance]) -> None:
    """The words are those that were said, nearly all, each at its time and with a score."""
    words = [word for segment in transcript.segments for word in segment.words]
    heard = " ".join(word.word for word in words)
    assert jiwer.wer(" ".join(one.text for one in said), heard) < 0.3
    assert heard == transcript.text.replace("\n", " ")
    assert [word.start for word in words] == sorted(word.start for word in words)
    for word in words:
        assert any(one.start - NEAR < word.start < word.end < one.end + NEAR for one in said), word
        assert 0.0 < word.score <= 1.0


def test_a_job_is_written_by_it_with_its_own_word_times(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    model = str(write_parakeet(tmp_path / "pico-parakeet"))
    samples, said = recording(SECONDS)
    audio = write_wav(tmp_path / "talk.wav", samples)
    cluster = start_cluster(workers=1, model="auto", language_models={"en": model})
    named = cluster.submit(audio, model=model, language="en", aligner="cross_attention")
    routed = cluster.submit(audio, model="auto", language="en", aligner="cross_attention")
    for submitted in (named, routed):
        job = cluster.wait(submitted)
        assert job.status == "completed"
        check(transcript_from_json(cluster.result(job)["transcript"]), said)
        assert cluster.chunk_artifact(job, 0)["engine"] == "parakeet"
        assert cluster.result(job)["transcript"]["warnings"] == []

"""A real Whisper on a real conversation, through a whole cluster."""

from __future__ import annotations

from pathlib import Path

import jiwer
import regex

from gpu_worker.assembly.formats import render
from gpu_worker.builtin import SAMPLE as CONVERSATION
from gpu_worker.transcript import Transcript, transcript_from_json
from tests.inputs.real_models import real_model
from tests.inputs.speech import telephone_call
from tests.integration.conftest import StartCluster

# Thirty seconds of a telephone call with its words, out of pyannote.audio's package.
SAMPLE = telephone_call()


def said() -> str:
    """The reference: STM lines of file, channel, speaker, start, end and words."""
    lines = SAMPLE.with_suffix(".stm").read_text(encoding="utf-8").splitlines()
    return plain(" ".join(line.split(maxsplit=5)[5] for line in lines))


def plain(text: str) -> str:
    """Lower-case words without what is in brackets, such as noises, and without marks."""
    return " ".join(
        regex.findall(r"[\w']+", regex.sub(r"[<(\[{][^>)\]}]*[>)\]}]", "", text.lower()))
    )


def test_a_real_conversation_is_written_as_it_was_said(
    start_cluster: StartCluster,
) -> None:
    for model in ("base", "tiny.en"):
        real_model(model)
    cluster = start_cluster(workers=1)
    jobs = {
        model: cluster.submit(SAMPLE, model=model, compute_type="int8")
        for model in ("base", "tiny.en")
    }
    for model, submitted in jobs.items():
        job = cluster.wait(submitted)
        assert job.status == "completed"
        check(model, transcript_from_json(cluster.result(job)["transcript"]))


def test_the_engine_torch_writes_it_too_and_leaves_beams_to_the_other_one(
    start_cluster: StartCluster,
) -> None:
    real_model("tiny.en")
    cluster = start_cluster(workers=1, engine="torch")
    job = cluster.wait(cluster.submit(SAMPLE, model="tiny.en", beam_size=1))
    check("tiny.en", transcript_from_json(cluster.result(job)["transcript"]))
    [worker] = cluster.gpu_worker_pids()
    assert "libtorch" in Path(f"/proc/{worker}/maps").read_text(encoding="utf-8")
    assert not cluster.events("engine_replaced", job)
    assert cluster.chunk_artifact(job, 0)["engine"] == "torch"
    job = cluster.wait(cluster.submit(SAMPLE, model="tiny.en", beam_size=2))
    assert job.status == "completed"
    assert {line["engine"] for line in cluster.events("engine_replaced", job)} == {"faster_whisper"}
    assert cluster.chunk_artifact(job, 0)["engine"] == "faster_whisper"


def test_with_its_encoder_by_onnx_runtime_a_worker_writes_the_same(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    texts = []
    for encoder, graphs in (("torch", 0), ("onnx", 1)):
        models = tmp_path / f"models-{encoder}"
        cluster = start_cluster(
            workers=1, name=encoder, engine="torch", torch_encoder=encoder, model_dir=models
        )
        job = cluster.wait(cluster.submit(CONVERSATION, model="pico", compute_type="float32"))
        texts.append(transcript_from_json(cluster.result(job)["transcript"]).text)
        assert len(list(models.glob("onnx/*/encoder.onnx"))) == graphs
    assert texts[0] == texts[1] != ""


def check(model: str, transcript: Transcript) -> None:
    error = jiwer.wer(said(), plain(transcript.text))
    print(f"{model}: {error:.1%} of {len(said().split())} words are wrong")
    assert error < 0.35
    assert transcript.language == "en"
    assert not [w for w in transcript.warnings if w.code != "speech_without_words"]

    # No mark stands apart from its word, as in "well , I 'm".
    assert not regex.search(r"\w [,.?!'’%]|[$£€] \d", transcript.text)
    words = transcript.words
    assert "".join(word.word for word in words).replace(" ", "") == transcript.text.replace(" ", "")
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert 5 < len(transcript.segments) < 40
    written = render(transcript, "srt")
    assert all(segment.text in written for segment in transcript.segments)

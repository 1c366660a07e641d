"""The cluster's text is the text of one process: nothing lost, nothing doubled at any seam."""

from __future__ import annotations

from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor

from gpu_worker.audio.samples import Audio
from gpu_worker.builtin import PICO
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines.features import Features, log_mel
from tests.inputs.speech import Utterance, read_audio, recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster

BATCH_SIZE = 16
HALF_A_WORD_SECONDS = 0.15
# Of words that are as likely, CTranslate2 chooses one by its rounding, which is not the same in
# each run: in half an hour at one place or two. Two minutes must be equal.
ROUNDED = 0.002

Windows = list[list[tuple[int, int]]]  # each one's spans of speech, in samples of the file


class Filled:
    """The features that faster-whisper's pipeline asks for, with silence behind the sound."""

    def __init__(self, extract: FeatureExtractor) -> None:
        self._extract = extract

    def __getattr__(self, name: str) -> Any:
        return getattr(self._extract, name)

    def __call__(self, audio: Audio) -> Features:
        """One frame more than a window has, which the pipeline takes off."""
        return np.pad(log_mel(self._extract, audio), ((0, 0), (0, 1)))


def read_in_one_process(path: Path, windows: Windows) -> list[str]:
    """faster-whisper's own batched pipeline over the same windows, laid end to end."""
    audio = read_audio(path)
    pieces = [np.concatenate([audio[first:last] for first, last in window]) for window in windows]
    ends = list(accumulate(len(piece) for piece in pieces))
    model = WhisperModel(str(PICO), device="cpu", compute_type="int8")
    model.feature_extractor = Filled(model.feature_extractor)
    segments, _ = BatchedInferencePipeline(model).transcribe(
        np.concatenate(pieces),
        language="en",
        beam_size=1,
        temperature=0.0,
        batch_size=BATCH_SIZE,
        clip_timestamps=[
            # Half a sample more: the pipeline rounds seconds down to samples.
            {"start": (start + 0.5) / SAMPLE_RATE, "end": (end + 0.5) / SAMPLE_RATE}
            for start, end in pairwise([0, *ends])
        ],
    )
    return " ".join(segment.text for segment in segments).split()


def transcribe(
    cluster: ClusterUnderTest, path: Path, chunk_seconds: float
) -> tuple[list[str], list[Windows]]:
    """The words, and each chunk's windows."""
    job = cluster.wait(
        cluster.submit(
            path,
            language="en",
            chunk_seconds=chunk_seconds,
            batch_size=BATCH_SIZE,
            temperature_increment_on_fallback=None,  # sampling is what one process cannot repeat
        )
    )
    assert job.status == "completed"
    plan = cluster.connection.records.plan(TENANT, job.id)
    assert plan.chunks[0][0] == 0
    assert plan.chunks[-1][1] == round(plan.seconds * SAMPLE_RATE)
    assert all(before[1] == after[0] for before, after in pairwise(plan.chunks))
    windows = [
        [
            [(first, last) for first, last in window["spans"]]
            for window in cluster.chunk_artifact(job, index)["windows"]
        ]
        for index in range(job.chunks.total)
    ]
    return cluster.words(job), windows


@pytest.mark.parametrize(
    ("minutes", "chunk_seconds"),
    [(2, 20.0), pytest.param(30, 300.0, marks=pytest.mark.heavy)],
)
def test_a_file_in_chunks_reads_word_for_word_as_in_one_process_with_1_2_and_4_workers(
    start_cluster: StartCluster, tmp_path: Path, minutes: int, chunk_seconds: float
) -> None:
    samples, said = recording(minutes * 60, seed=7)
    path = write_wav(tmp_path / "speech.wav", samples)
    texts, windows = {}, {}
    for workers in (1, 2, 4):
        cluster = start_cluster(workers, name=f"workers-{workers}")
        texts[workers], windows[workers] = transcribe(cluster, path, chunk_seconds)
        cluster.local.close()

    every_window = [window for chunk in windows[1] for window in chunk]
    reference = read_in_one_process(path, every_window)
    truth = " ".join(utterance.text for utterance in said)
    error_rate = jiwer.wer(truth, " ".join(reference))
    print(
        f"\n{len(windows[1])} chunks, {len(every_window)} windows, {len(reference)} words, "
        f"as one process with 1, 2 and 4 workers; word error rate {error_rate:.1%}"
    )
    assert len(windows[1]) >= 6
    assert windows[1] == windows[2] == windows[4]
    for text in texts.values():
        assert jiwer.wer(" ".join(reference), " ".join(text)) <= ROUNDED
    assert_no_word_is_cut_lost_or_doubled(windows[1], said)


def assert_no_word_is_cut_lost_or_doubled(chunks: list[Windows], said: list[Utterance]) -> None:
    """Windows do not overlap, hold all that was said, and no seam lies inside an utterance."""
    spans = [span for chunk in chunks for window in chunk for span in window]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    for utterance in said:
        heard = sum(
            max(0.0, min(utterance.end, last) - max(utterance.start, first))
            for first, last in ((a / SAMPLE_RATE, b / SAMPLE_RATE) for a, b in spans)
        )
        assert heard >= utterance.end - utterance.start - HALF_A_WORD_SECONDS, utterance.text
    seams = [chunk[0][0][0] / SAMPLE_RATE for chunk in chunks[1:] if chunk]
    for seam in seams:
        cut = [
            utterance.text
            for utterance in said
            if utterance.start + HALF_A_WORD_SECONDS < seam < utterance.end - HALF_A_WORD_SECONDS
        ]
        assert not cut

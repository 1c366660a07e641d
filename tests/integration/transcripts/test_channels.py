"""A call with a speaker on each channel: each word is written once, for its speaker."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

from orchestrator.cluster.job import Job
from tests.inputs.bad_audio import wav
from tests.inputs.speech import NOISE, SAMPLE_RATE, Samples, Utterance, heldout
from tests.integration.cluster import ClusterUnderTest
from tests.integration.conftest import StartCluster

VOICES = ("espeak:en-us+m3", "flite:slt")
UTTERANCES = 8  # of each side
ECHO_DB, ECHO_SAMPLES = -12.0, int(0.04 * SAMPLE_RATE)
MORE_ERRORS = 0.1  # of the words: pauses filled with echoes make other windows


def a_call(echo: bool) -> tuple[Samples, list[list[Utterance]]]:
    """Two people in turn, shape (2, samples), and what each says when."""
    dice = random.Random(0)
    own = [[u for u in heldout("en") if u.voice == voice] for voice in VOICES]
    said: list[list[Utterance]] = [[], []]
    at = 0.5
    for turn in range(2 * UTTERANCES):
        utterance = own[turn % 2][turn // 2]
        end = at + len(utterance.samples) / SAMPLE_RATE
        said[turn % 2].append(replace(utterance, start=at, end=end))
        at = end + dice.uniform(0.3, 1.0)
    sound = np.zeros((2, int(at * SAMPLE_RATE)), np.float32)
    for channel, utterances in enumerate(said):
        for utterance in utterances:
            first = int(utterance.start * SAMPLE_RATE)
            sound[channel, first : first + len(utterance.samples)] += utterance.samples
    if echo:
        late = np.roll(sound[::-1], ECHO_SAMPLES, axis=1) * 10 ** (ECHO_DB / 20)
        sound = sound + late
    noise = np.random.default_rng(0).standard_normal(sound.shape)
    return (sound + NOISE * noise).astype(np.float32), said


def write(path: Path, sound: Samples) -> Path:
    data = (np.clip(sound.T, -1, 1) * 32767).astype("<i2").tobytes()
    path.write_bytes(wav(data, channels=len(sound)))
    return path


def transcript(cluster: ClusterUnderTest, job: Job) -> dict[str, Any]:
    ended = cluster.wait(job)
    assert (ended.status, ended.warnings) == ("completed", ())
    found: dict[str, Any] = cluster.result(job)["transcript"]
    return found


def words(found: dict[str, Any], channel: int | None = None) -> list[tuple[str, float]]:
    name = None if channel is None else f"SPEAKER_{channel:02d}"
    return [
        (word["word"], word["start"])
        for word in found["word_segments"]
        if word.get("speaker") == name
    ]


def texts(spoken: list[tuple[str, float]]) -> str:
    return " ".join(word for word, _ in spoken)


def alone(cluster: ClusterUnderTest, path: Path, **options: Any) -> list[list[tuple[str, float]]]:
    """The words of each channel, transcribed in jobs of their own."""
    jobs = [
        cluster.submit(path, channel=channel, model="pico", language="en", **options)
        for channel in range(2)
    ]
    return [words(transcript(cluster, job)) for job in jobs]


def test_each_speakers_words_are_those_of_the_channel_alone(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    path = write(tmp_path / "call.wav", a_call(echo=False)[0])
    options: dict[str, Any] = {"chunk_seconds": 10.0}
    with start_cluster(name="alone") as cluster:
        expected = alone(cluster, path, **options)
    with start_cluster(name="split") as cluster:
        job = cluster.submit(path, channels="split", model="pico", language="en", **options)
        found = transcript(cluster, job)
        calm = cluster.result_bytes(job)
    assert [words(found, channel) for channel in range(2)] == expected
    assert len(found["word_segments"]) == sum(map(len, expected))
    starts = [segment["start"] for segment in found["segments"]]
    assert starts == sorted(starts)
    speakers = [turn["speaker"] for turn in found["turns"]]
    assert sum(a != b for a, b in pairwise(speakers)) >= UTTERANCES

    with start_cluster(name="killed") as cluster:
        job = cluster.submit(path, channels="split", model="pico", language="en", **options)
        cluster.wait_until(
            lambda: any(
                line["stage"] == "transcribe" for line in cluster.events("unit_started", job)
            )
        )
        victim = cluster.kill_gpu_worker(random.Random(0))
        assert cluster.wait(job).status == "completed"
        print(f"\nkilled {victim}; {len(starts)} segments are the same bytes")
        assert cluster.result_bytes(job) == calm


@pytest.mark.heavy
def test_an_echo_in_the_other_channel_is_not_written_twice(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    clean, said = a_call(echo=False)
    with start_cluster() as cluster:
        without = alone(cluster, write(tmp_path / "clean.wav", clean), aligner="ctc")
        path = write(tmp_path / "echo.wav", a_call(echo=True)[0])
        job = cluster.submit(path, channels="split", model="pico", language="en", aligner="ctc")
        found = transcript(cluster, job)
        both = alone(cluster, path, aligner="ctc")
    for channel in range(2):
        spoken = words(found, channel)
        truth = " ".join(utterance.text for utterance in said[channel])
        errors = jiwer.wer(truth, texts(spoken))
        least = jiwer.wer(truth, texts(without[channel]))
        print(
            f"\nchannel {channel}: {len(truth.split())} words said, {len(both[channel])} heard "
            f"with the echo, {len(spoken)} written; word error rate {errors:.1%}, "
            f"without an echo {least:.1%}"
        )
        assert len(both[channel]) > 1.5 * len(truth.split())  # the echo is there
        assert set(spoken) <= set(both[channel])
        assert len(spoken) <= 1.1 * len(truth.split())
        assert errors <= least + MORE_ERRORS

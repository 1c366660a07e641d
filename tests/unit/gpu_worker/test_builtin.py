"""The built-in model hears what it was made for, and stays small enough to bundle."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import jiwer
import numpy as np
import pytest
from faster_whisper import BatchedInferencePipeline, WhisperModel

from gpu_worker.builtin import PICO, SAMPLE
from tests import DATA
from tests.inputs.speech import Samples, heldout, read_audio, recording

pytestmark = pytest.mark.slow  # it runs the built-in models

WORST = 0.08  # word error rate

Reference = dict[str, object]


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    return WhisperModel(str(PICO), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.fixture(scope="module")
def reference() -> Reference:
    loaded: Reference = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
    return loaded


def test_the_model_is_under_10_mb() -> None:
    assert sum(size_of(PICO)) < 10_000_000


def test_the_sample_and_the_heldout_speech_are_small() -> None:
    assert sum(size_of(SAMPLE.parent)) < 1_000_000
    assert sum(size_of(DATA)) < 3_000_000


def test_its_description_names_files_that_exist() -> None:
    described = json.loads((PICO / "model.json").read_text())
    assert described["name"] == "pico"
    assert described["max_window_seconds"] <= 10
    weights = PICO / described["float_weights"]
    assert (weights / "model.safetensors").exists()
    assert (weights / "config.json").exists()


def test_the_float_weights_are_not_the_quantized_ones() -> None:
    """Quantizing scales its tensors in place to ±127; the weights themselves stay small."""
    content = (PICO / "float" / "model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    assert {entry["dtype"] for entry in header.values()} == {"F16"}
    weights = np.frombuffer(content[8 + length :], dtype="<f2")
    assert len(weights) > 1_700_000
    assert np.abs(weights).max() < 50


def test_it_hears_heldout_utterances_of_every_voice(model: WhisperModel) -> None:
    chosen = random.Random(1).sample(heldout(), 20)
    found = [transcribe(model, said.samples, said.language) for said in chosen]
    assert jiwer.wer([said.text for said in chosen], found) <= WORST


def test_it_hears_the_words_of_the_sample(model: WhisperModel, reference: Reference) -> None:
    longest = json.loads((PICO / "model.json").read_text())["max_window_seconds"]
    segments, _ = BatchedInferencePipeline(model).transcribe(
        read_audio(SAMPLE),
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        chunk_length=longest,
    )
    found = plain(" ".join(segment.text for segment in segments))
    assert jiwer.wer(str(reference["text"]), found) <= WORST


def test_it_times_words_where_they_are_said(model: WhisperModel) -> None:
    said = heldout("en")[0]
    segments, _ = model.transcribe(
        said.samples,
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        word_timestamps=True,
    )
    words = [word for segment in segments for word in segment.words or []]
    assert len(words) == len(said.text.split())
    assert words[-1].end == pytest.approx(said.end - said.start, abs=0.4)


def test_the_sample_is_a_conversation_of_two_about_90_s_long(reference: Reference) -> None:
    turns = reference["turns"]
    assert isinstance(turns, list)
    assert {turn["speaker"] for turn in turns} == {"anna", "peter"}
    assert 75 < len(read_audio(SAMPLE)) / 16_000 < 110
    times = [time for turn in turns for time in (turn["start"], turn["end"])]
    assert times == sorted(times)


def test_a_recording_is_the_same_for_the_same_seed() -> None:
    samples, said = recording(30, seed=3)
    again, said_again = recording(30, seed=3)
    assert len(samples) >= 30 * 16_000
    assert np.array_equal(samples, again)
    assert said == said_again


def test_a_recording_has_its_utterances_where_it_says() -> None:
    samples, said = recording(60, seed=4, language="es")
    for one in said:
        begin = round(one.start * 16_000)
        assert np.array_equal(samples[begin : begin + len(one.samples)], one.samples)


def transcribe(model: WhisperModel, samples: Samples, language: str) -> str:
    segments, _ = model.transcribe(
        samples, language=language, beam_size=1, temperature=0.0, without_timestamps=True
    )
    return plain(" ".join(segment.text for segment in segments))


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def size_of(directory: Path) -> Iterator[int]:
    return (path.stat().st_size for path in directory.rglob("*") if path.is_file())

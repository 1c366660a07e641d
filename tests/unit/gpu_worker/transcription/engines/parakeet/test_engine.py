"""What the engine of the Parakeet kind does besides what every engine must."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_worker.devices.onnx_session import LARGEST
from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.parakeet.engine import ParakeetEngine
from gpu_worker.transcription.engines.parakeet.loading import load
from tests import ROOT
from tests.inputs.parakeet_model import Head, write_parakeet
from tests.inputs.speech import heldout, recording, write_wav

OPTIONS = DecodeOptions(language="en")
# What a worker without torch has not, by pyproject's extra `transcriber`.
TORCH = ("torch", "torchaudio", "torchcodec", "transformers", "whisperx", "pyannote")
BESIDE_TORCH = ("scipy", "safetensors", "omegaconf", "onnx")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parakeet(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine(model: Path) -> ParakeetEngine:
    return load(EngineRequest(str(model), device="cpu", threads=1))


@pytest.mark.parametrize("head", ["ctc", "rnnt", "tdt"])
def test_each_head_writes_what_was_said(head: Head, tmp_path: Path) -> None:
    engine = load(EngineRequest(str(write_parakeet(tmp_path, head)), device="cpu", threads=1))
    for said in (heldout()[0], heldout()[3]):
        (text,) = engine.transcribe([said.samples], OPTIONS)
        assert text.text == said.text


def test_words_begin_and_end_inside_the_sentence_that_they_are_of(engine: ParakeetEngine) -> None:
    sound, said = recording(8.0)
    (text,) = engine.transcribe([sound], OPTIONS)
    inside = [
        word
        for word in text.words
        if any(one.start - 0.25 < word.start < word.end < one.end + 0.25 for one in said)
    ]
    assert len(inside) == len(text.words) > 10


@pytest.mark.slow
def test_windows_that_are_heard_together_are_written_as_alone(engine: ParakeetEngine) -> None:
    """As on a GPU: the short ones are filled up, and what follows them is not heard."""
    sides = (engine.max_window_seconds, engine.languages)
    batched = ParakeetEngine(engine.name, engine._model, "cuda", *sides)
    windows = [said.samples for said in heldout()[:LARGEST]] + [recording(14.0)[0][:220_000]]
    together = batched.transcribe(windows, OPTIONS)
    for one, other in zip(together, engine.transcribe(windows, OPTIONS), strict=True):
        assert one.text == other.text
        assert [word.start for word in one.words] == [word.start for word in other.words]
        assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=1e-3)


def test_options_that_it_cannot_follow_are_named(engine: ParakeetEngine) -> None:
    asked = replace(OPTIONS, hotwords="Maria", beam_size=5, temperatures=(0.4, 1.0), patience=2.0)
    (warning,) = engine.warnings(asked)
    assert warning.code == "options_not_followed"
    assert "cannot follow beam_size, hotwords, temperature;" in warning.message


@pytest.mark.parametrize("changes", [{"task": "translate"}, {"language": "ja"}])
def test_what_it_cannot_do_is_refused(engine: ParakeetEngine, changes: dict[str, str]) -> None:
    for ask in (engine.warnings, lambda options: engine.decode([], options)):
        with pytest.raises(InvalidOption):
            ask(replace(OPTIONS, **changes))  # type: ignore[arg-type]


def test_a_model_of_one_language_detects_it(tmp_path: Path) -> None:
    (write_parakeet(tmp_path) / "model.json").write_text('{"languages": ["en"]}')
    engine = load(EngineRequest(str(tmp_path), device="cpu", threads=1))
    assert engine.detects_language
    (found,) = engine.detect_languages([heldout()[0].samples])
    assert (found.language, found.probability) == ("en", 1.0)


@pytest.mark.slow
def test_it_transcribes_a_file_without_torch(model: Path, tmp_path: Path) -> None:
    """With all modules of the tasks, as a worker of the extra `transcriber` has them."""
    audio = write_wav(tmp_path / "talk.wav", recording(6.0)[0])
    script = f"""
import sys, wave
import numpy as np
for name in {TORCH + BESIDE_TORCH!r}:
    sys.modules[name] = None
import tasks.app, tasks.stages.detect_language, tasks.stages.transcribe, tasks.stages.align
from gpu_worker.loaded import load_engine
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
engine = load_engine(EngineRequest({str(model)!r}, device="cpu", threads=1, engine="parakeet"))
with wave.open({str(audio)!r}, "rb") as file:
    sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
heard = transcribe_chunk(engine, sound, DecodeOptions(language="en"))
print(sum(len(segment.words) for segment in heard.segments))
load_engine(EngineRequest("pico", device="cpu", threads=1))  # by which a worker tests itself
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(ended.stdout) > 5

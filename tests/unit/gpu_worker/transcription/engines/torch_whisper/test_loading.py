"""Models are loaded from both forms of files, and what is no Whisper is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from gpu_worker.builtin import PICO
from gpu_worker.errors import DeviceFault, InvalidOption, UnknownModel
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, WindowText
from gpu_worker.transcription.engines.torch_whisper import loading
from gpu_worker.transcription.engines.torch_whisper.engine import TorchEngine
from gpu_worker.transcription.hearing import known_speech

pytestmark = pytest.mark.slow  # it loads real models

OPTIONS = DecodeOptions(language="en", temperatures=(0.0,))


def test_a_directory_of_safetensors_hears_what_the_other_form_hears(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(PICO / "float" / name, tmp_path / name)
    for name in ("tokenizer.json", "model.json"):
        shutil.copy(PICO / name, tmp_path / name)
    engines = [
        loading.load(EngineRequest(model, device="cpu")) for model in (str(tmp_path), "pico")
    ]
    first, second = (engine.transcribe([known_speech()], OPTIONS)[0].text for engine in engines)
    assert first == second != ""
    assert {engine.max_window_seconds for engine in engines} == {6.0}


def test_a_directory_without_a_whisper_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(UnknownModel, match="not a Whisper model"):
        loading.load(EngineRequest(str(tmp_path), device="cpu"))


def test_a_type_or_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidOption, match="no compute_type 'int8'"):
        loading.load(EngineRequest("pico", device="cpu", compute_type="int8"))
    if not torch.cuda.is_available():
        with pytest.raises(DeviceFault):
            loading.load(EngineRequest("pico", device="cuda"))


def test_a_model_that_hears_nothing_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = WindowText("", (), -0.1, 0.9, 0.0, 0.0)
    monkeypatch.setattr(TorchEngine, "transcribe", lambda *_: (silent,))
    with pytest.raises(DeviceFault, match="hears nothing"):
        loading.load(EngineRequest("pico", device="cpu"))

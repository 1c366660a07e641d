"""Which engine does a job, by the worker's setting and the job's options."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.choice import EngineChoice, choose_engine
from tests.inputs.parakeet_model import write_parakeet

GREEDY = DecodeOptions()


@pytest.mark.parametrize(
    ("setting", "engine"),
    [("auto", "faster_whisper"), ("faster_whisper", "faster_whisper"), ("torch", "torch")],
)
def test_a_job_gets_the_engine_of_the_setting(setting: str, engine: str) -> None:
    assert choose_engine(setting, "large-v3", "default", GREEDY) == EngineChoice(engine)


@pytest.mark.parametrize(
    ("compute_type", "changes", "because"),
    [
        ("default", {"beam_size": 5}, "torch has no beam_size=5"),
        ("default", {"repetition_penalty": 1.2}, "torch has no repetition_penalty=1.2"),
        ("int8", {}, "torch has no compute_type int8"),
    ],
)
def test_what_torch_cannot_do_goes_to_faster_whisper(
    compute_type: str, changes: dict[str, Any], because: str
) -> None:
    found = choose_engine("torch", "base", compute_type, replace(GREEDY, **changes))
    assert found == EngineChoice("faster_whisper", because)


def test_safetensors_are_read_by_torch_alone(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    for setting, because in (("auto", "the model is in safetensors"), ("torch", None)):
        found = choose_engine(setting, str(tmp_path), "default", replace(GREEDY, beam_size=5))
        assert found == EngineChoice("torch", because)
    (tmp_path / "model.bin").touch()
    assert choose_engine("auto", str(tmp_path), "default", GREEDY).engine == "faster_whisper"


@pytest.mark.slow
def test_choosing_loads_no_torch() -> None:
    code = "import gpu_worker.transcription.engines.choice, sys; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


@pytest.mark.parametrize("setting", ["auto", "faster_whisper", "torch"])
def test_a_model_that_is_no_whisper_has_an_engine_of_its_own(setting: str, tmp_path: Path) -> None:
    model = str(write_parakeet(tmp_path))
    for name in (model, "parakeet-tdt-0.6b-v3", "owner/any-onnx"):
        assert choose_engine(setting, name, "default", GREEDY) == EngineChoice("parakeet")

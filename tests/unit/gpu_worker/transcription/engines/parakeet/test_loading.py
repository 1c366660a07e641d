"""A model of the Parakeet kind is loaded by its name, or it is said why it cannot be."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from gpu_worker.devices.onnx_session import CPU, CUDA, TENSORRT
from gpu_worker.errors import (
    DeviceFault,
    InvalidOption,
    LibraryMissing,
    ModelUnavailable,
    UnknownModel,
)
from gpu_worker.models.whisper import find_model
from gpu_worker.transcription.engines import EngineRequest
from gpu_worker.transcription.engines.parakeet.loading import load
from tests.inputs.hub_cache import put_into_hub_cache
from tests.inputs.parakeet_model import LANGUAGES, LONGEST_WINDOW, write_parakeet


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_parakeet(tmp_path / "model")


def request(
    model: Path | str, *, compute_type: str = "default", device: str = "cpu", model_dir: str = ""
) -> EngineRequest:
    return EngineRequest(
        str(model), None, compute_type, device, threads=1, model_dir=model_dir or None
    )


def test_a_directory_says_its_window_and_its_languages(model: Path) -> None:
    engine = load(request(model))
    assert (engine.name, engine.kind, engine.device) == (str(model), "parakeet", "cpu")
    assert engine.max_window_seconds == LONGEST_WINDOW
    assert engine.languages == set(LANGUAGES)
    assert not engine.detects_language


def test_a_model_of_the_hub_is_taken_from_the_cache(
    model: Path, tmp_path: Path, no_hub: None
) -> None:
    name = "parakeet-tdt-0.6b-v3"
    files = [file for file in model.iterdir() if file.name != "model.json"]
    here = put_into_hub_cache(find_model(name), tmp_path / "hub", *(file.name for file in files))
    for file in files:
        (here / file.name).write_bytes(file.read_bytes())
    engine = load(request(name, model_dir=str(tmp_path / "hub")))
    assert engine.name == name and len(engine.languages) == 25
    assert engine.max_window_seconds == 30.0
    with pytest.raises(ModelUnavailable):
        load(request("parakeet-ctc-0.6b", model_dir=str(tmp_path / "hub")))


def test_graphs_of_int8_are_read_by_their_name_or_where_there_are_no_others(model: Path) -> None:
    with pytest.raises(UnknownModel, match="cannot be loaded"):
        load(request(model, compute_type="int8"))
    for file in model.glob("*.onnx"):
        file.rename(file.with_suffix(".int8.onnx"))
    for kind in ("int8", "default"):
        assert load(request(model, compute_type=kind)).name == str(model)


def test_numbers_that_there_are_no_graphs_of_are_refused(model: Path) -> None:
    with pytest.raises(InvalidOption, match="no compute_type float16"):
        load(request(model, compute_type="float16"))


def test_a_head_without_times_is_refused(model: Path) -> None:
    (model / "config.json").write_text('{"model_type": "nemo-conformer-aed"}')
    with pytest.raises(UnknownModel, match="gives its words no times"):
        load(request(model))


@pytest.mark.parametrize("config", ["", "[]"])
def test_a_config_that_is_none_is_told(model: Path, config: str) -> None:
    (model / "config.json").write_text(config)
    with pytest.raises(UnknownModel, match="config"):
        load(request(model))


def test_a_graph_that_is_none_is_told(model: Path) -> None:
    (model / "encoder-model.onnx").write_bytes(b"no graph")
    with pytest.raises(UnknownModel, match="cannot be loaded"):
        load(request(model))


def test_a_model_of_unknown_languages_is_refused(model: Path) -> None:
    (model / "model.json").unlink()
    with pytest.raises(InvalidOption, match="not known which languages") as refused:
        load(request(model))
    assert "model.json" in refused.value.advice


def test_a_model_that_hears_nothing_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.inputs import parakeet_model

    weights = dict(np.load(parakeet_model.WEIGHTS))
    weights["out.bias"] = np.zeros_like(weights["out.bias"])
    weights["out.bias"][-1] = 100.0  # the blank
    np.savez(tmp_path / "deaf.npz", **weights)
    monkeypatch.setattr(parakeet_model, "WEIGHTS", tmp_path / "deaf.npz")
    with pytest.raises(DeviceFault, match="hears nothing"):
        load(request(write_parakeet(tmp_path / "deaf")))


def test_without_the_library_it_is_said_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gpu_worker.transcription.engines.parakeet.loading.find_spec", lambda name: None
    )
    with pytest.raises(LibraryMissing) as refused:
        load(request(model))
    assert "parakeet]" in refused.value.advice


def test_a_gpu_needs_another_onnxruntime(model: Path) -> None:
    with pytest.raises(LibraryMissing, match="cannot compute on cuda") as refused:
        load(request(model, device="cuda"))
    assert "onnxruntime-gpu" in refused.value.advice


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_is_passed_over_with_its_reason(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """ONNX Runtime says that it has these providers, and takes the CPU instead."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    with caplog.at_level(logging.WARNING), pytest.raises(DeviceFault, match="does not start"):
        load(request(model, device="cuda", model_dir=str(tmp_path)))
    assert [json.dumps(name in caplog.text) for name in (TENSORRT, CUDA)] == ["true", "true"]

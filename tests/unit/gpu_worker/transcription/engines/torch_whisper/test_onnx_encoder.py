"""The encoder by ONNX Runtime computes what torch's computes, and torch's takes over without it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from benchmarks.engines.shapes import Shape, random_model
from gpu_worker.devices.onnx_session import CPU, CUDA, Offer
from gpu_worker.errors import DeviceFault, DevicePoisoned
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.torch_whisper import loading, onnx_encoder
from gpu_worker.transcription.engines.torch_whisper.encoder import Encoder
from gpu_worker.transcription.engines.torch_whisper.network import build_encoder
from gpu_worker.transcription.engines.torch_whisper.onnx_encoder import (
    OnnxEncoder,
    load_onnx_encoder,
)
from tests.inputs.speech import heldout

pytestmark = pytest.mark.slow  # it imports torch

SHAPES = {
    "even": Shape(96, 6, 2, 1, vocabulary=100),
    "128 mels": Shape(80, 5, 2, 1, mels=128, vocabulary=100),
}
TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-2}  # of states with a deviation of 1
ONNX = EngineRequest("pico", device="cpu", threads=1, encoder="onnx")
ENGLISH = DecodeOptions(language="en", temperatures=(0.0,))


@pytest.mark.parametrize("kind", TOLERANCES, ids=str)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_states_are_those_of_torchs_encoder(
    shape: Shape, kind: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_encoder, "LARGEST", 2)  # five windows go through it in three groups
    weights, _ = random_model(shape)

    def build(numbers: torch.dtype) -> Encoder:
        return build_encoder(weights, numbers, "cpu")

    encoder = load_onnx_encoder("any", weights, kind, "cpu", tmp_path, build)
    assert isinstance(encoder, OnnxEncoder) and encoder.provider == CPU
    mel = torch.randn(5, shape.mels, 3000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        exact = build(torch.float32)(mel)
        states = encoder(mel.to(kind))
    assert states.dtype == encoder.kind == kind
    assert 0.5 < exact.std() < 2
    torch.testing.assert_close(states.float(), exact, atol=TOLERANCES[kind], rtol=0)


class Broken:
    """A session of ONNX Runtime whose device fails, as none here does."""

    def __init__(self, session: Any, message: str) -> None:
        self._session, self._message = session, message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, *_: object) -> None:
        raise Fail(self._message)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Failed to allocate memory for requested buffer of size 9663676416", MemoryError),
        ("CUDA failure 700: an illegal memory access was encountered", DevicePoisoned),
        ("TensorRT EP execution context enqueue failed.", DeviceFault),
        ("Non-zero status code returned", RuntimeError),
    ],
)
def test_errors_of_onnx_runtime_have_a_meaning(
    message: str, kind: type[Exception], tmp_path: Path
) -> None:
    engine = loading.load(replace(ONNX, model_dir=str(tmp_path)))
    encoder = engine._network.encoder
    assert isinstance(encoder, OnnxEncoder)
    encoder._session = Broken(encoder._session, message)
    with pytest.raises(kind):
        engine.transcribe([heldout("en")[0].samples], ENGLISH)


@pytest.mark.parametrize("kind", ["default", "float32", "bfloat16"])
def test_pico_writes_the_same_texts_and_times(kind: str, tmp_path: Path) -> None:
    windows = [utterance.samples for utterance in heldout("en")[:6]]
    engine = loading.load(replace(ONNX, compute_type=kind, model_dir=str(tmp_path)))
    assert isinstance(engine._network.encoder, OnnxEncoder)
    assert engine._network.encoder.kind == torch.float32  # a CPU's graph has no other
    own = loading.load(replace(ONNX, compute_type="float32", encoder="torch"))
    exact = own.transcribe(windows, ENGLISH)
    found = engine.transcribe(windows, ENGLISH)
    assert [text.text for text in found] == [text.text for text in exact]
    if kind != "bfloat16":  # the decoder is in bfloat16 too, and times words by less exact numbers
        assert [[(word.start, word.end) for word in text.words] for text in found] == [
            [(word.start, word.end) for word in text.words] for text in exact
        ]


def test_without_a_provider_torchs_own_encoder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnx_encoder, "offers", lambda *_: (Offer(CUDA),))
    engine = loading.load(replace(ONNX, model_dir=str(tmp_path)))
    assert isinstance(engine._network.encoder, Encoder)
    assert "The encoder is torch's own: no provider" in caplog.text
    assert engine.transcribe([heldout("en")[0].samples], ENGLISH)[0].text


def test_without_the_package_that_writes_graphs_the_log_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    engine = loading.load(replace(ONNX, model_dir=str(tmp_path)))
    assert isinstance(engine._network.encoder, Encoder)
    assert "pip install 'scriptorium[worker,onnx]'" in caplog.text


def test_without_a_place_for_the_graph_torchs_own_encoder_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "onnx").touch()  # where the directory of graphs should be
    engine = loading.load(replace(ONNX, model_dir=str(tmp_path)))
    assert isinstance(engine._network.encoder, Encoder)
    assert "A graph cannot be kept" in caplog.text

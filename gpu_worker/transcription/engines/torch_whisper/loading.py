"""Load a model by name into an engine, and check that it hears."""

from __future__ import annotations

from pathlib import Path

import tokenizers
import torch

from gpu_worker.devices.torch_devices import pick_device, translating_torch_errors
from gpu_worker.errors import UnknownModel
from gpu_worker.models.weights.reading import read_whisper
from gpu_worker.models.weights.whisper import WhisperWeights
from gpu_worker.models.wheels import models_root
from gpu_worker.models.whisper import fetch_model, find_model, longest_window
from gpu_worker.transcription.engines import EngineRequest
from gpu_worker.transcription.engines.torch_whisper.encoder import Encoder
from gpu_worker.transcription.engines.torch_whisper.engine import TorchEngine
from gpu_worker.transcription.engines.torch_whisper.network import (
    SoundEncoder,
    build_encoder,
    build_network,
)
from gpu_worker.transcription.engines.torch_whisper.precision import (
    Precision,
    has_bfloat16,
    precision,
)
from gpu_worker.transcription.hearing import check_hearing


def load(request: EngineRequest) -> TorchEngine:
    """Load a model by name, and check that it hears.

    Raises UnknownModel, ModelUnavailable, InvalidOption, DeviceFault, MemoryError.
    """
    device = pick_device(request.device)
    types = precision(request.compute_type, device, has_bfloat16=has_bfloat16())
    if device == "cpu" and request.threads > 0:
        torch.set_num_threads(request.threads)
    source = find_model(request.model, request.revision)
    directory = fetch_model(source, request.model_dir, request.hub_token)
    weights, tokens = _read(request.model, directory)
    try:
        encoder = _onnx_encoder(request, weights, types, device)
        network = translating_torch_errors(lambda: build_network(weights, types, device, encoder))
    except (KeyError, RuntimeError) as error:  # weights are missing, or have other shapes
        raise UnknownModel(f"{request.model!r} is not a Whisper model: {error}.") from error
    engine = TorchEngine(source.name, network, tokens, longest_window(directory))
    check_hearing(engine)
    return engine


def _onnx_encoder(
    request: EngineRequest, weights: WhisperWeights, types: Precision, device: str
) -> SoundEncoder | None:
    """Return the encoder by ONNX Runtime, if it is asked for and starts."""
    if request.encoder != "onnx":
        return None
    from gpu_worker.transcription.engines.torch_whisper.onnx_encoder import (  # loads ONNX Runtime
        load_onnx_encoder,
    )

    def build(kind: torch.dtype) -> Encoder:
        return build_encoder(weights, kind, device)

    root = models_root(request.model_dir)
    return load_onnx_encoder(request.model, weights, types.encoder, device, root, build)


def _read(model: str, directory: Path) -> tuple[WhisperWeights, tokenizers.Tokenizer]:
    try:
        weights = read_whisper(directory)
        return weights, tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    except Exception as error:  # the tokenizers' library raises no class of its own
        raise UnknownModel(f"{model!r} is not a Whisper model: {error}.") from error

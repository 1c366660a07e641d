"""The encoder by ONNX Runtime: on a GPU by TensorRT if it is there, else by CUDA; or on a CPU.

It takes the place of `Encoder` in a network. Features and states stay on the device: a session is
told the addresses of torch's tensors. **It has not been run on a GPU yet.**
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpu_worker.devices.onnx_session import LARGEST, cache_name, offers, profile_of, start
from gpu_worker.errors import ScriptoriumError
from gpu_worker.models.weights.whisper import WhisperWeights
from gpu_worker.transcription.engines.torch_whisper.encoder import Encoder
from gpu_worker.transcription.engines.torch_whisper.onnx_graph import (
    INPUT,
    OUTPUT,
    graph_directory,
    locked,
    whole_graph,
)

log = logging.getLogger(__name__)
_NUMBERS = {torch.float32: np.float32, torch.float16: np.float16}


class OnnxEncoder:
    """What an encoder computes, by a session of ONNX Runtime."""

    def __init__(self, session: Any, kind: torch.dtype, positions: int, width: int) -> None:
        self.kind = kind  # of the features
        self.provider: str = session.get_providers()[0]
        self._session = session
        self._positions, self._width = positions, width

    def __call__(self, mel: Tensor) -> Tensor:
        """Encode features, (windows, mels, 3000), to states, (windows, 1500, width)."""
        return torch.cat([self._states(group) for group in mel.contiguous().split(LARGEST)])

    def _states(self, mel: Tensor) -> Tensor:
        states = mel.new_empty(len(mel), self._positions, self._width)
        binding = self._session.io_binding()
        bindings = ((binding.bind_input, INPUT, mel), (binding.bind_output, OUTPUT, states))
        for bind, name, tensor in bindings:
            place = tensor.device.type, tensor.device.index or 0
            shape = tuple(tensor.shape)
            bind(name, *place, _NUMBERS[self.kind], shape, tensor.data_ptr())
        if mel.is_cuda:  # ONNX Runtime has a stream of its own, which does not wait for torch's
            torch.cuda.current_stream(mel.device).synchronize()
        try:
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
        except Exception as error:  # of a class of its own; what it means is read from its text
            raise RuntimeError(str(error)) from error
        return states


def graph_type(kind: torch.dtype) -> torch.dtype:
    """Return the type of a graph for an engine's: ONNX Runtime's CPU has no bfloat16.

    TensorRT takes a graph in float32 and computes it in bfloat16 where that is asked for.
    """
    return torch.float32 if kind == torch.bfloat16 else kind


def load_onnx_encoder(
    model: str,
    weights: WhisperWeights,
    kind: torch.dtype,
    device: str,
    root: Path,
    build: Callable[[torch.dtype], Encoder],
) -> OnnxEncoder | None:
    """Start a provider for the model's encoder. If none can, log why and return None.

    The first time it writes the graph of the encoder that `build` makes in a type, and TensorRT
    its engine, below `root`, the directory of models. Raises nothing: no job may fail for want of
    what only makes it quicker.
    """
    try:
        session = _session(model, weights, kind, torch.device(device), root, build)
    except Exception as error:
        told = f"{error} {error.advice}" if isinstance(error, ScriptoriumError) else repr(error)
        log.warning("The encoder is torch's own: %s", told)
        return None
    if session is None:
        log.warning("The encoder is torch's own: no provider of ONNX Runtime started.")
        return None
    sizes = weights.dimensions
    return OnnxEncoder(session, graph_type(kind), sizes["n_audio_ctx"], sizes["n_audio_state"])


def _session(
    model: str,
    weights: WhisperWeights,
    kind: torch.dtype,
    device: torch.device,
    root: Path,
    build: Callable[[torch.dtype], Encoder],
) -> Any | None:
    sizes, numbers = weights.dimensions, graph_type(kind)
    own = {name: value for name, value in weights.state.items() if name.startswith("encoder.")}
    directory = graph_directory(root, model, own, numbers)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    kept = directory.with_name(f"{directory.name}-{cache_name(gpu)}")
    window = (sizes["n_mels"], 2 * sizes["n_audio_ctx"])
    with locked(directory):
        file = whole_graph(directory, lambda: build(numbers))
        threads = torch.get_num_threads() if device.type == "cpu" else 1
        numbers_of = str(kind).removeprefix("torch.")
        offered = offers(str(device), numbers_of, kept, profile_of(INPUT, window))
        return start(file, offered, threads)

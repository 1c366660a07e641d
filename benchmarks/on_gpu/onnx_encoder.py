"""The encoder by ONNX Runtime on this device: each of its providers beside torch's own encoder."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import onnxruntime
import torch
from torch import Tensor

from benchmarks.on_gpu.bench import GREEDY, Bench, seconds
from benchmarks.on_gpu.checks import compared
from benchmarks.on_gpu.torch_engine import engine
from gpu_worker.devices.onnx_session import (
    CPU,
    CUDA,
    TENSORRT,
    Offer,
    offers,
)
from gpu_worker.transcription.engines.torch_whisper.engine import TorchEngine
from gpu_worker.transcription.engines.torch_whisper.onnx_encoder import OnnxEncoder

BATCHES = (1, 8, 16, 64)


def onnx_encoder(bench: Bench) -> dict[str, Any]:
    """What each provider takes to start, the first time and again; its speed, states and texts."""
    own = engine(bench)
    mels = {size: own._mel(bench.repeated(size)) for size in (BATCHES if bench.is_gpu else (1, 2))}
    found: dict[str, Any] = {
        "available": onnxruntime.get_available_providers(),
        "torch": {"encoder_ms_a_window": timed(own, mels, bench)},
    }
    texts = own.transcribe(bench.windows, GREEDY)
    for provider in (TENSORRT, CUDA) if bench.is_gpu else (CPU,):
        with tempfile.TemporaryDirectory(prefix="scriptorium-onnx-") as place:
            times, models = [], []
            for _ in range(2):  # the second one finds what the first one wrote
                began = time.perf_counter()
                models.append(started(bench, provider, place))
                times.append(time.perf_counter() - began)
            on_disk = sum(file.stat().st_size for file in Path(place).rglob("*") if file.is_file())
        model = models.pop()
        if not isinstance(model._network.encoder, OnnxEncoder):
            found[provider] = {"started": False}  # the log says why
            continue
        with torch.inference_mode():
            states = zip(own._network.encode(mels[1]), model._network.encode(mels[1]), strict=True)
            away = max(float((one.float() - other.float()).abs().max()) for one, other in states)
        found[provider] = {
            "seconds_to_start": round(times[0], 2),
            "seconds_to_start_again": round(times[1], 2),
            "megabytes_on_disk": round(on_disk / 1e6, 1),
            "largest_difference_of_a_state": round(away, 5),
            "encoder_ms_a_window": timed(model, mels, bench),
            "text": compared(texts, model.transcribe(bench.windows, GREEDY)),
        }
    return found


def started(bench: Bench, provider: str, place: str) -> TorchEngine:
    """The engine with the encoder on this provider alone, or with torch's if it does not start."""

    def alone(*given: Any) -> tuple[Offer, ...]:
        return tuple(offer for offer in offers(*given) if offer.provider == provider)

    with patch(f"{OnnxEncoder.__module__}.offers", alone):
        return engine(bench, encoder="onnx", model_dir=place)


def timed(model: TorchEngine, mels: dict[int, Tensor], bench: Bench) -> dict[str, float]:
    """Milliseconds a window of the encoder, by batch."""
    return {
        str(size): round(1000 * seconds(partial(encode, model, mel), bench.rounds) / size, 2)
        for size, mel in mels.items()
    }


def encode(model: TorchEngine, mel: Tensor) -> None:
    """Encode, and wait until the device has."""
    with torch.inference_mode():
        model._network.encode(mel)
    if torch.cuda.is_available():
        torch.cuda.synchronize()

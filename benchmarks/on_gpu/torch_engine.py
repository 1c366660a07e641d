"""The engine `torch` on this device: is it right, and how fast, with CUDA graphs and without."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.on_gpu.bench import GREEDY, Bench, seconds
from benchmarks.on_gpu.checks import compared
from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import EngineRequest
from gpu_worker.transcription.engines.torch_whisper.engine import TorchEngine
from gpu_worker.transcription.engines.torch_whisper.graphs import StepGraphs
from gpu_worker.transcription.engines.torch_whisper.loading import load

BATCHES = (1, 8, 32, 64, 128)
PLAIN = replace(GREEDY, word_timestamps=False)


def engine(
    bench: Bench,
    compute_type: str = "default",
    device: str = "",
    encoder: str = "torch",
    model_dir: str | None = None,
) -> TorchEngine:
    """The model, loaded anew."""
    return load(
        EngineRequest(
            bench.model,
            device=device or bench.device,
            compute_type=compute_type,
            encoder=encoder,
            model_dir=model_dir,
        )
    )


def torch_text(bench: Bench) -> dict[str, Any]:
    """The same windows by compute type, beside float32 on the CPU, and beside one by one."""
    oracle = engine(bench, "float32", "cpu").transcribe(bench.windows, GREEDY)
    found: dict[str, Any] = {}
    for kind in ("float32", "float16", "bfloat16") if bench.is_gpu else ("float32", "bfloat16"):
        model = engine(bench, kind)
        texts = model.transcribe(bench.windows, GREEDY)
        alone = [model.transcribe([window], GREEDY)[0].text for window in bench.windows]
        equal = sum(one == text.text for one, text in zip(alone, texts, strict=True))
        found[kind] = compared(oracle, texts) | {"equal_alone": equal}
    return found


def torch_batches(bench: Bench) -> dict[str, Any]:
    """Seconds of audio a second by batch; milliseconds a window of the encoder; memory."""
    return {
        str(size): _batch(engine(bench), bench.repeated(size), bench)
        for size in (BATCHES if bench.is_gpu else (1, 2))
    }


def _batch(model: TorchEngine, batch: list[Audio], bench: Bench) -> dict[str, float]:
    length = sum(map(len, batch)) / SAMPLE_RATE
    if bench.is_gpu:
        torch.cuda.reset_peak_memory_stats()
    found = {
        "with_words": length / seconds(partial(model.transcribe, batch, GREEDY), bench.rounds),
        "without": length / seconds(partial(model.transcribe, batch, PLAIN), bench.rounds),
        "encoder_ms_a_window": 1000 * seconds(partial(_encode, model, batch), 1) / len(batch),
    }
    if bench.is_gpu:
        found["graphs"] = len(model._writer._graphs._graphs) if model._writer._graphs else 0
        model._writer.release()
        with patch.object(StepGraphs, "run", _run_as_it_is):
            took = seconds(partial(model.transcribe, batch, PLAIN), bench.rounds)
        found["without_words_and_graphs"] = length / took
        found["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return {name: round(value, 2) for name, value in found.items()}


def _encode(model: TorchEngine, batch: list[Audio]) -> None:
    with torch.inference_mode():
        model._encode(batch)
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _run_as_it_is(_: StepGraphs, key: Hashable, step: Callable[[], None]) -> None:
    step()

"""Whisper's encoder as an ONNX graph: ONNX Runtime beside CTranslate2 and torch, on one CPU thread.

    python -m benchmarks.speed.onnx_encoder [--model base] [--rounds 7]

The weights are the model's own, and the input is the first window of pyannote's sample, a telephone
call. torch's exporter writes the graph, once by tracing and once by `torch.export`; a copy of it
has its matrices in int8 (dynamic quantization, one scale a column). Processor seconds a window,
medians of rounds in turns, and the root mean square of the difference from torch's float32, in
parts of the output's standard deviation. Needs the packages `onnx` and `onnxscript` besides the
extra `bench`, installed with `--no-deps` beside `onnx-ir` and `ml_dtypes`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import ctranslate2
import numpy as np
import onnxruntime
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from onnxruntime.quantization import QuantType, quantize_dynamic

from benchmarks.machine import print_machine
from benchmarks.speakers.recordings import read_sample
from benchmarks.speed.sides.transformers_pipeline import whisper_in_torch
from gpu_worker.models.weights.reading import read_whisper
from gpu_worker.models.weights.whisper import WhisperWeights
from gpu_worker.models.whisper import fetch_model, find_model
from gpu_worker.pcm import SAMPLE_RATE

Run = Callable[[], Any]


class Encoder(torch.nn.Module):
    """The encoder of transformers, with a tensor as its result."""

    def __init__(self, weights: WhisperWeights) -> None:
        super().__init__()
        self.encoder = whisper_in_torch(weights, 0, 0).model.encoder

    def forward(self, features: torch.Tensor) -> Any:
        """Turn (batch, bands, 3000) into (batch, 1500, width)."""
        return self.encoder(features).last_hidden_state


def exported(encoder: Encoder, features: torch.Tensor, scratch: Path) -> dict[str, Path]:
    """Write the graphs; the seconds of each export are printed."""
    files = {name: scratch / f"{name}.onnx" for name in ("traced", "torch.export", "int8")}
    for name, is_new in (("traced", False), ("torch.export", True)):
        began = time.perf_counter()
        torch.onnx.export(
            encoder,
            (features,),
            files[name],
            dynamo=is_new,
            input_names=["features"],
            output_names=["heard"],
            verbose=False,
        )
        print(f"exported, {name}: {time.perf_counter() - began:.1f} s", flush=True)
    quantize_dynamic(
        files["traced"],
        files["int8"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul"],
    )
    return files


def session(file: Path) -> Any:
    """Load a graph for one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def encoders(directory: Path, features: np.ndarray[Any, Any], scratch: Path) -> dict[str, Run]:
    """All sides; torch's is the first."""
    encoder, given = Encoder(read_whisper(directory)).eval(), torch.from_numpy(features)

    def in_torch() -> Any:
        with torch.inference_mode():
            return encoder(given).numpy()

    runs: dict[str, Run] = {"torch float32": in_torch}
    for name, file in exported(encoder, given, scratch).items():
        held = session(file)
        runs[f"ONNX {name}"] = partial(held.run, ["heard"], {"features": features})
    view = ctranslate2.StorageView.from_array(features)
    for kind in ("float32", "int8"):
        model = ctranslate2.models.Whisper(
            str(directory), device="cpu", compute_type=kind, intra_threads=1
        )
        runs[f"CTranslate2 {kind}"] = partial(model.encode, view)
    return runs


def main() -> None:
    """Print a line for each side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="base")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    print(f"providers of this onnxruntime: {', '.join(onnxruntime.get_available_providers())}")
    directory = fetch_model(find_model(given.model), None, None)
    sound = read_sample().samples[: 30 * SAMPLE_RATE]
    features = FeatureExtractor()(sound)[None, :, :3000].astype(np.float32)
    features = np.ascontiguousarray(features)
    with tempfile.TemporaryDirectory(prefix="scriptorium-benchmark-") as scratch:
        runs = encoders(Path(directory), features, Path(scratch))
        outputs = {name: np.squeeze(np.array(run())) for name, run in runs.items()}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for index in range(given.rounds):
            for name in list(runs) if index % 2 == 0 else reversed(list(runs)):
                began = time.process_time()
                runs[name]()
                seconds[name].append(time.process_time() - began)
    exact = outputs["torch float32"]
    for name, output in outputs.items():
        away = np.sqrt(np.mean((output - exact) ** 2)) / exact.std()
        print(f"{name:<20} {median(seconds[name]):>7.3f} s   differs by {away:.1e}", flush=True)


if __name__ == "__main__":
    main()

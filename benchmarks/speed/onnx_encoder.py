"""The encoder of the engine `torch` by ONNX Runtime, beside torch and CTranslate2, on one thread.

    python -m benchmarks.speed.onnx_encoder [--model base] [--rounds 7] [--json FILE]

All sides have the model's own weights and hear the first window of pyannote's sample, a telephone
call. ONNX Runtime's and torch's encoders are the product's; a copy of the graph has its matrices in
int8 (dynamic quantization, one scale a column), which the product has not. Processor seconds a
window, medians of rounds in turns, and the root mean square of the difference from torch's float32,
in parts of the output's standard deviation. Needs the extras `bench` and `onnx`.
"""

from __future__ import annotations

import argparse
import json
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

from benchmarks.machine import describe_machine, print_machine
from benchmarks.speakers.recordings import read_sample
from gpu_worker.devices.onnx_session import CPU, Offer, start
from gpu_worker.models.weights.reading import read_whisper
from gpu_worker.models.weights.whisper import WhisperWeights
from gpu_worker.models.whisper import fetch_model, find_model
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines.torch_whisper.network import build_encoder
from gpu_worker.transcription.engines.torch_whisper.onnx_encoder import (
    OnnxEncoder,
    load_onnx_encoder,
)
from gpu_worker.transcription.engines.torch_whisper.onnx_graph import FOLDER, GRAPH
from gpu_worker.transcription.engines.torch_whisper.packed import pack

Run = Callable[[], Any]
EXACT = "torch float32"


def in_torch(weights: WhisperWeights, kind: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    """The product's encoder for a CPU."""
    encoder = build_encoder(weights, kind, "cpu")
    pack(encoder)
    return lambda features: encoder(features.to(kind)).float()


def in_onnx(name: str, weights: WhisperWeights, root: Path) -> tuple[OnnxEncoder, float]:
    """The product's encoder by ONNX Runtime, and the seconds until it could begin."""
    began = time.perf_counter()
    encoder = load_onnx_encoder(
        name, weights, torch.float32, "cpu", root, lambda kind: build_encoder(weights, kind, "cpu")
    )
    assert encoder is not None
    return encoder, time.perf_counter() - began


def encoders(
    name: str, directory: Path, features: np.ndarray[Any, Any], scratch: Path
) -> tuple[dict[str, Run], dict[str, float]]:
    """All sides, and the seconds that the graph took to be written and to be found again."""
    weights, given = read_whisper(directory), torch.from_numpy(features)
    first, written = in_onnx(name, weights, scratch)
    _, found = in_onnx(name, weights, scratch)
    (graph,) = (scratch / FOLDER).glob(f"*/{GRAPH}")
    whole = scratch / "int8.onnx"
    quantize_dynamic(
        graph,
        whole,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul"],
    )
    held = start(whole, (Offer(CPU),), 1)
    assert held is not None
    runs: dict[str, Run] = {
        EXACT: partial(in_torch(weights, torch.float32), given),
        "torch bfloat16": partial(in_torch(weights, torch.bfloat16), given),
        "ONNX Runtime float32": partial(first, given),
        "ONNX Runtime int8": partial(held.run, None, {"features": features}),
    }
    view = ctranslate2.StorageView.from_array(features)
    for kind in ("float32", "int8"):
        model = ctranslate2.models.Whisper(
            str(directory), device="cpu", compute_type=kind, intra_threads=1
        )
        runs[f"CTranslate2 {kind}"] = partial(model.encode, view)
    return runs, {"written_seconds": round(written, 2), "found_seconds": round(found, 2)}


def main() -> None:
    """Print a line for each side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="base")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    print(f"providers of this onnxruntime: {', '.join(onnxruntime.get_available_providers())}")
    directory = Path(fetch_model(find_model(given.model), None, None))
    sound = read_sample().samples[: 30 * SAMPLE_RATE]
    features = FeatureExtractor()(sound)[None, :, :3000].astype(np.float32)
    features = np.ascontiguousarray(features)
    with tempfile.TemporaryDirectory(prefix="scriptorium-benchmark-") as scratch:
        runs, took = encoders(given.model, directory, features, Path(scratch))
    print(f"graph: {took}")
    with torch.inference_mode():
        outputs = {name: np.squeeze(np.asarray(run())) for name, run in runs.items()}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for index in range(given.rounds):
            for name in list(runs) if index % 2 == 0 else reversed(list(runs)):
                began = time.process_time()
                runs[name]()
                seconds[name].append(time.process_time() - began)
    exact = outputs[EXACT]
    rows = {}
    for name, output in outputs.items():
        away = float(np.sqrt(np.mean((output - exact) ** 2)) / exact.std())
        rows[name] = {
            "seconds": round(median(seconds[name]), 4),
            "differs_by": float(f"{away:.1e}"),
        }
        print(f"{name:<22} {rows[name]['seconds']:>7.3f} s   differs by {away:.1e}", flush=True)
    if given.json is not None:
        report = {"model": given.model, "graph": took, "results": rows}
        report["machine"] = describe_machine() | {"torch": torch.__version__}
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

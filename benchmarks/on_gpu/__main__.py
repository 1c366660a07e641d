"""The product's model code on an NVIDIA GPU: does it run, is it right, and how fast is it.

    python -m benchmarks.on_gpu [--model DIRECTORY] [--out FILE.json] [AUDIO...]

For a bare machine: it needs `gpu_worker` and its libraries, and no network, Redis or store. Without
a model it takes the built-in one, without audio the built-in conversation. Each part stands alone:
one that fails is written down with its error, and the rest goes on; the exit status is then 1. The
oracle is the same code on the CPU, the peer faster-whisper's batched pipeline on the same device.
`--device cpu` tries the program itself where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.on_gpu.bench import Bench
from benchmarks.on_gpu.checks import equality, fallback, machine, text
from benchmarks.on_gpu.onnx_encoder import onnx_encoder
from benchmarks.on_gpu.sharing import batcher
from benchmarks.on_gpu.timings import batches, detection, peer, steps
from benchmarks.on_gpu.torch_engine import torch_batches, torch_text
from benchmarks.on_gpu.word_times import alignment, convolutions, trellis
from gpu_worker.builtin import PICO, SAMPLE

PARTS = (
    machine, text, equality, fallback, steps, batches, batcher, peer, alignment, trellis,
    convolutions, detection, torch_text, torch_batches, onnx_encoder,
)  # fmt: skip


def main() -> int:
    """Run every part, and print and write what each found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", type=Path, default=PICO, help="a CTranslate2 model's directory")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("audio", type=Path, nargs="*", default=[SAMPLE])
    chosen = parser.parse_args()
    bench = Bench(chosen.model.absolute(), chosen.device, chosen.audio)
    results: dict[str, Any] = {}
    for part in PARTS:
        started = time.perf_counter()
        try:
            found = part(bench)
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"[:400]}
            traceback.print_exc()
        results[part.__name__] = found | {"took_seconds": round(time.perf_counter() - started, 1)}
        print(part.__name__, json.dumps(results[part.__name__], ensure_ascii=False), flush=True)
        if chosen.out is not None:
            written = json.dumps(results, indent=1, ensure_ascii=False)
            chosen.out.write_text(written, encoding="utf-8")
    return 1 if any("error" in found for found in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

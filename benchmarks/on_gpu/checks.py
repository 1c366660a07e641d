"""Parts that ask whether the device's answers are right."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.on_gpu.bench import GREEDY, Bench
from benchmarks.on_gpu.equality import SIZES, batch_equality
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import WindowText

LIBRARIES = ("ctranslate2", "faster-whisper", "torch", "numpy", "onnxruntime")


def machine(bench: Bench) -> dict[str, Any]:
    """What it ran on."""
    query = "--query-gpu=name,driver_version,memory.total"
    smi = ["nvidia-smi", query, "--format=csv,noheader"]
    return {
        "gpu": subprocess.run(smi, capture_output=True, text=True, check=True).stdout.strip()
        if bench.is_gpu
        else "none",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "model": Path(bench.model).name,
        "windows": len(bench.windows),
        "audio_seconds": round(len(bench.audio) / SAMPLE_RATE, 1),
    }


def text(bench: Bench) -> dict[str, Any]:
    """The same windows by compute type, beside float32 on the CPU."""
    oracle = bench.engine("float32", "cpu").transcribe(bench.windows, GREEDY)
    gpu_types = ("float32", "float16", "bfloat16", "int8_float16")
    return {
        compute_type: compared(oracle, bench.engine(compute_type).transcribe(bench.windows, GREEDY))
        for compute_type in (gpu_types if bench.is_gpu else ("int8",))
    }


def equality(bench: Bench) -> dict[str, Any]:
    """Windows alone and in batches of two to sixteen, by compute type."""
    types = ("float32", "float16", "int8_float16") if bench.is_gpu else ("int8",)
    windows, sizes = (bench.repeated(16), SIZES) if bench.is_gpu else (bench.windows, SIZES[:2])
    return {
        compute_type: [
            asdict(row)
            for row in batch_equality(bench.engine(compute_type), windows, GREEDY, sizes)
        ]
        for compute_type in types
    }


def fallback(bench: Bench) -> dict[str, Any]:
    """A part of a batch is decoded again hotter; the rest keeps its text."""
    engine = bench.engine()
    first = engine.transcribe(bench.windows, GREEDY)
    middle = median(text.avg_logprob for text in first)
    hotter = replace(
        GREEDY, temperatures=(0.0, 0.2), logprob_threshold=middle, no_speech_threshold=None
    )
    again = engine.transcribe(bench.windows, hotter)
    kept = [(a, b) for a, b in zip(first, again, strict=True) if a.avg_logprob >= middle]
    return {
        "decoded_again": len(first) - len(kept),
        "kept": len(kept),
        "kept_with_equal_text": sum(a.text == b.text for a, b in kept),
    }


def compared(oracle: tuple[WindowText, ...], found: tuple[WindowText, ...]) -> dict[str, Any]:
    """How near the texts and word times of the same windows are."""
    equal = [(a, b) for a, b in zip(oracle, found, strict=True) if a.text == b.text]
    far = [
        abs(x.start - y.start)
        for a, b in equal
        for x, y in zip(a.words, b.words, strict=True)
    ]  # fmt: skip
    return {
        "windows_with_equal_text": len(equal),
        "windows": len(oracle),
        "largest_difference_of_a_start_ms": round(1000 * max(far, default=0.0)),
        "median_difference_of_a_start_ms": round(1000 * median(far)) if far else None,
        "others": [
            [a.text, b.text] for a, b in zip(oracle, found, strict=True) if a.text != b.text
        ],
    }

"""Where an engine's time goes on the CPU: processor seconds of each part, for one window of 30 s.

    python -m benchmarks.speed.engine_parts [--models tiny.en base] [--threads 1]
                                            [--speech DIRECTORY] [--json FILE]

Windows of real speech, int8, greedy. The encoder is timed for a window alone and for batches, and
beside it torch's with random weights of the same shape (SYNTHETIC: time only) in float32 and
bfloat16; text for batches of several sizes, since each step reads all weights once a batch.
Processor seconds, because other programs on the machine change them less than the wall's.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import SPEECH
from benchmarks.machine import check_memory_settings, describe_machine
from benchmarks.speed.inputs import packed_english
from gpu_worker.audio.vad import speech_spans
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine, load
from gpu_worker.transcription.engines.features import Features, PreparedWindow
from gpu_worker.transcription.engines.prompts import build_prompt, text_room

ENCODER_BATCHES = (1, 4, 8)
TEXT_BATCHES = (1, 2, 4, 6, 8)
OPTIONS = DecodeOptions(language="en", temperatures=(0.0,))
# Width, layers and heads of the encoders (openai/whisper model.py).
SHAPES = {"tiny.en": (384, 4, 6), "base": (512, 6, 8)}


def processor_seconds(work: Callable[[], object], items: int, rounds: int = 3) -> float:
    """Median processor seconds for each item, after one warm-up."""
    work()
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return round(median(times) / items, 4)


def ctranslate2_parts(
    engine: FasterWhisperEngine, windows: Sequence[PreparedWindow]
) -> dict[str, float]:
    """Seconds a window of encoding, text and word times."""
    model, found = engine._model, {}
    features = np.stack([window.features for window in windows])
    for size in ENCODER_BATCHES:
        batch = np.ascontiguousarray(features[:size])
        found[f"encoder, {size} at once"] = processor_seconds(lambda b=batch: model.encode(b), size)  # type: ignore[misc]
    tokenizer = engine._tokenizer(OPTIONS)
    prompt = build_prompt(tokenizer, OPTIONS)
    room = text_room(prompt, model.max_length, OPTIONS)
    for size in TEXT_BATCHES:
        encoded = model.encode(np.ascontiguousarray(features[:size]))
        found[f"text, {size} at once"] = processor_seconds(
            lambda e=encoded: engine._generate(e, tokenizer, prompt, room, OPTIONS, 0.0),  # type: ignore[misc]
            size,
        )
    taken = engine._generate(encoded, tokenizer, prompt, room, OPTIONS, 0.0)
    found[f"word times, {size} at once"] = processor_seconds(
        lambda: engine._attention.words(
            encoded, taken, [it.audio for it in windows[:size]], tokenizer
        ),
        size,
    )
    return found


def torch_encoder(name: str, features: Features, threads: int) -> dict[str, float]:
    """Seconds a window of torch's encoder, one window at once. SYNTHETIC weights."""
    import torch
    from transformers.models.whisper.configuration_whisper import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.set_num_threads(threads)
    width, layers, heads = SHAPES[name]
    config = WhisperConfig(
        d_model=width, encoder_layers=layers, encoder_attention_heads=heads,
        encoder_ffn_dim=4 * width, attn_implementation="sdpa",
    )  # fmt: skip
    found = {}
    for kind in (torch.float32, torch.bfloat16):
        encoder = WhisperEncoder(config).eval().to(kind)
        batch = torch.from_numpy(features[np.newaxis]).to(kind)
        with torch.inference_mode():
            seconds = processor_seconds(lambda e=encoder, b=batch: e(b), 1)  # type: ignore[misc]
        found[f"torch's encoder, {str(kind).removeprefix('torch.')}"] = seconds
    return found


def main() -> None:
    """Print the parts of each model, and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    check_memory_settings(parser)
    audio, packed = packed_english(given.speech)
    seconds = len(audio) / SAMPLE_RATE
    cut = packed[: max(TEXT_BATCHES)]
    report: dict[str, Any] = {"machine": describe_machine(), "threads": given.threads}
    report["speech detection, a minute of audio"] = processor_seconds(
        lambda: speech_spans(audio, 30.0), 1, 1
    ) / (seconds / 60)
    for name in given.models:
        job = whisper_files(name).job
        engine = load(EngineRequest(job, device="cpu", compute_type="int8", threads=given.threads))
        windows = [engine.prepare(window.cut(audio)) for window in cut]
        own = {
            "features": processor_seconds(
                lambda e=engine: [e.prepare(window.cut(audio)) for window in cut],  # type: ignore[misc]
                len(cut),
            )
        }
        own |= ctranslate2_parts(engine, windows)
        report[name] = own | torch_encoder(name, windows[0].features, given.threads)
        print(name)
        for part, took in report[name].items():
            print(f"  {part:<32}{took:8.4f} s a window")
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

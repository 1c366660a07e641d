"""How long each part of the engines takes on this CPU: torch beside faster-whisper.

    python -m benchmarks.engines.parts [--models tiny.en base] [--windows 6] [--rounds 5]
                                       [--threads 1] [--speech DIRECTORY] [--json FILE]

One batch of windows of real speech, greedy, with word times. Every round times each part of each
side once, and every other round runs backwards. Processor seconds, since other programs on the
machine change them less than the wall's; a figure is the median over the rounds, a ratio the median
of ratios within rounds. The side `default` of torch encodes in bfloat16 where the processor has it,
and decodes in float32.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import SPEECH
from benchmarks.machine import check_memory_settings, describe_machine
from benchmarks.speed.inputs import packed_english
from benchmarks.speed.rounds import order
from gpu_worker.audio.samples import Audio
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine
from gpu_worker.transcription.engines.faster_whisper import load as load_faster_whisper
from gpu_worker.transcription.engines.prompts import build_prompt, text_room
from gpu_worker.transcription.engines.torch_whisper.engine import TorchEngine
from gpu_worker.transcription.engines.torch_whisper.loading import load as load_torch

RESULTS = Path(__file__).resolve().parents[1] / "results" / "torch_parts.json"
OPTIONS = DecodeOptions(language="en", temperatures=(0.0,))
TEXT_ONLY = DecodeOptions(language="en", temperatures=(0.0,), word_timestamps=False)
SIDES = {  # engine, compute type, and what runs the encoder of torch
    "faster-whisper int8": ("faster_whisper", "int8", "torch"),
    "faster-whisper float32": ("faster_whisper", "float32", "torch"),
    "torch float32": ("torch", "float32", "torch"),
    "torch float32, encoder by ONNX Runtime": ("torch", "float32", "onnx"),
    "torch default": ("torch", "default", "torch"),
    "torch bfloat16": ("torch", "bfloat16", "torch"),
}
PARTS = ("all", "features", "encoder", "text", "word times")
Parts = dict[str, Callable[[], object]]


def faster_whisper_parts(engine: FasterWhisperEngine, windows: Sequence[Audio]) -> Parts:
    """What is timed of faster-whisper."""
    prepared = [engine.prepare(window) for window in windows]
    encoded = engine._encode(prepared)
    tokenizer = engine._tokenizer(OPTIONS)
    prompt = build_prompt(tokenizer, OPTIONS)
    room = text_room(prompt, engine._model.max_length, OPTIONS)
    taken = engine._generate(encoded, tokenizer, prompt, room, OPTIONS, 0.0)
    return {
        "all": lambda: engine.transcribe(windows, OPTIONS),
        "features": lambda: [engine.prepare(window) for window in windows],
        "encoder": lambda: engine._encode(prepared),
        "text": lambda: engine._generate(encoded, tokenizer, prompt, room, OPTIONS, 0.0),
        "word times": lambda: engine._attention.words(
            encoded, taken, [it.audio for it in prepared], tokenizer
        ),
    }


def torch_parts(engine: TorchEngine, windows: Sequence[Audio]) -> Parts:
    """What is timed of torch. Word times are within a pass of text; the rest of it is taken off."""
    mel = engine._mel(windows)

    def hear(options: DecodeOptions) -> Callable[[], object]:
        order = engine._order(options)

        def run() -> object:
            with torch.inference_mode():
                return engine._attempt(encoded, windows, order, 0.0)

        return run

    def encode() -> torch.Tensor:
        with torch.inference_mode():
            return engine._network.encode(mel)

    encoded = encode()
    return {
        "all": lambda: engine.transcribe(windows, OPTIONS),
        "features": lambda: engine._mel(windows),
        "encoder": encode,
        "text": hear(TEXT_ONLY),
        "text with word times": hear(OPTIONS),
    }


def parts(side: str, job: str, windows: Sequence[Audio], threads: int) -> Parts:
    """The parts of a side, with its model in memory."""
    engine, kind, encoder = SIDES[side]
    request = EngineRequest(job, device="cpu", compute_type=kind, threads=threads, encoder=encoder)
    if engine == "torch":
        return torch_parts(load_torch(request), windows)
    return faster_whisper_parts(load_faster_whisper(request), windows)


def timed(sides: dict[str, Parts], rounds: int) -> list[dict[tuple[str, str], float]]:
    """Seconds of each part of each side, by round; a first round is not counted."""
    tasks = [(side, part) for side, found in sides.items() for part in found]
    by_round: list[dict[tuple[str, str], float]] = []
    for number in range(rounds + 1):
        taken = {}
        for side, part in order(tasks, number):
            began = time.process_time()
            sides[side][part]()
            taken[side, part] = time.process_time() - began
        for side in sides:
            if (side, "text with word times") in taken:
                both = taken.pop((side, "text with word times"))
                taken[side, "word times"] = max(0.0, both - taken[side, "text"])
        by_round.append(taken)
    return by_round[1:]


def summary(
    found: Sequence[dict[tuple[str, str], float]], windows: int
) -> dict[str, dict[str, Any]]:
    """By side: seconds a window of each part, and ratios to faster-whisper in int8 and float32."""
    names = sorted({side for side, _ in found[0]}, key=list(SIDES).index)
    result: dict[str, dict[str, Any]] = {}
    for side in names:
        own = sorted((part for name, part in found[0] if name == side), key=PARTS.index)
        result[side] = {
            part: round(median(taken[side, part] for taken in found) / windows, 4) for part in own
        }
        for peer in ("faster-whisper int8", "faster-whisper float32"):
            result[side][f"÷ {peer}"] = {
                part: round(median(taken[side, part] / taken[peer, part] for taken in found), 2)
                for part in own
                if (peer, part) in found[0] and part != "word times"
            }
    return result


def main() -> None:
    """Print a table for each model, and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    check_memory_settings(parser)
    audio, packed = packed_english(given.speech)
    windows = [window.cut(audio) for window in packed[: given.windows]]
    report: dict[str, Any] = {
        "machine": describe_machine() | {"torch": torch.__version__},
        "threads": given.threads,
        "windows": len(windows),
        "rounds": given.rounds,
        "results": {},
    }
    for name in given.models:
        job = whisper_files(name).job
        sides = {side: parts(side, job, windows, given.threads) for side in given.sides}
        found = summary(timed(sides, given.rounds), len(windows))
        report["results"][name] = found
        print(name, "(seconds a window)")
        for side, row in found.items():
            print(f"  {side:<24}", row)
        given.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

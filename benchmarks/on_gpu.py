"""The product's model code on an NVIDIA GPU: does it run, is it right, and how fast is it.

    python -m benchmarks.on_gpu --model DIRECTORY --out FILE.json AUDIO.wav...

Each part stands alone: one that fails is written down with its error, and the rest goes on. The
oracle is the same code on the CPU, the peer faster-whisper's batched pipeline on the same device.
`--device cpu` tries the program itself where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from faster_whisper import BatchedInferencePipeline
from faster_whisper.audio import decode_audio

from gpu_worker.alignment import AlignerRequest, SpokenWindow
from gpu_worker.alignment.ctc import load as load_ctc
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.vad import speech_spans
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, WindowText
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine, load
from gpu_worker.transcription.engines.features import Features
from gpu_worker.transcription.windows import pack_windows

GREEDY = DecodeOptions(language="en", temperatures=(0.0,))
BATCHES = (1, 8, 16, 32, 64, 128)
WINDOW_SECONDS = 30.0


def seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """Median wall time of `work` after one warm-up."""
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times[1:])


def prepared_features(engine: FasterWhisperEngine, windows: list[Audio]) -> Features:
    """The features of windows, shape (windows, mels, 3000)."""
    return np.stack([engine.prepare(window).features for window in windows])


class Bench:
    """One model on one device, and the recordings' windows."""

    def __init__(self, model: Path, device: str, paths: list[Path]) -> None:
        self.model, self.device = str(model), device
        audio = np.concatenate([decode_audio(str(path)) for path in paths])
        self.audio: Audio = np.asarray(audio, np.float32)
        spans = speech_spans(self.audio, WINDOW_SECONDS)
        packed = pack_windows(spans, int(WINDOW_SECONDS * SAMPLE_RATE))
        self.windows = [window.cut(self.audio) for window in packed]

    def engine(self, device: str, compute_type: str) -> FasterWhisperEngine:
        return load(EngineRequest(self.model, device=device, compute_type=compute_type))

    def machine(self) -> dict[str, Any]:
        """What it ran on."""
        smi = [
            "nvidia-smi",
            "--query-gpu=name,driver_version,memory.total",
            "--format=csv,noheader",
        ]
        named = ("ctranslate2", "faster-whisper", "torch", "numpy", "onnxruntime")
        return {
            "gpu": subprocess.run(smi, capture_output=True, text=True, check=True).stdout.strip()
            if self.device == "cuda"
            else "none",
            "python": platform.python_version(),
            "libraries": {name: version(name) for name in named},
            "model": Path(self.model).name,
            "windows": len(self.windows),
            "audio_seconds": round(len(self.audio) / SAMPLE_RATE, 1),
        }

    def text(self) -> dict[str, Any]:
        """The same windows by compute type, beside float32 on the CPU."""
        oracle = self.engine("cpu", "float32").transcribe(self.windows, GREEDY)
        kinds: tuple[str, ...] = ("float32", "float16", "bfloat16", "int8_float16")
        if self.device == "cpu":
            kinds = ("int8",)
        return {
            kind: compared(oracle, self.engine(self.device, kind).transcribe(self.windows, GREEDY))
            for kind in kinds
        }

    def fallback(self) -> dict[str, Any]:
        """A part of a batch is decoded again hotter; the rest keeps its text."""
        engine = self.engine(self.device, self.kind)
        first = engine.transcribe(self.windows, GREEDY)
        middle = median(text.avg_logprob for text in first)
        hotter = replace(
            GREEDY, temperatures=(0.0, 0.2), logprob_threshold=middle, no_speech_threshold=None
        )
        again = engine.transcribe(self.windows, hotter)
        kept = [(a, b) for a, b in zip(first, again, strict=True) if a.avg_logprob >= middle]
        return {
            "decoded_again": len(first) - len(kept),
            "kept": len(kept),
            "kept_with_equal_text": sum(a.text == b.text for a, b in kept),
        }

    def batches(self) -> dict[str, Any]:
        """Seconds of audio a second through `transcribe`, by batch, with and without word times."""
        engine = self.engine(self.device, self.kind)
        found = {}
        for size in BATCHES if self.device == "cuda" else BATCHES[:2]:
            batch = list(islice(cycle(self.windows), size))
            length = sum(map(len, batch)) / SAMPLE_RATE
            plain = replace(GREEDY, word_timestamps=False)
            found[str(size)] = {
                "with_words": round(length / seconds(partial(engine.transcribe, batch, GREEDY))),
                "without": round(length / seconds(partial(engine.transcribe, batch, plain))),
            }
        return found

    def steps(self) -> dict[str, float]:
        """Milliseconds a window of the parts of a batch of 32."""
        engine = self.engine(self.device, self.kind)
        size = 32 if self.device == "cuda" else 2
        batch = list(islice(cycle(self.windows), size))
        model = engine._model
        mel = prepared_features(engine, batch)
        plain = replace(GREEDY, word_timestamps=False)
        parts = {
            "features_on_the_cpu": seconds(partial(prepared_features, engine, batch)),
            "encoder": seconds(partial(model.encode, mel)),
            "features_encoder_and_text": seconds(partial(engine.transcribe, batch, plain)),
            "all_with_words": seconds(partial(engine.transcribe, batch, GREEDY)),
        }
        return {name: round(1000 * took / size, 3) for name, took in parts.items()}

    def peer(self) -> dict[str, Any]:
        """faster-whisper's batched pipeline and ours on one long recording, in turns."""
        engine = self.engine(self.device, self.kind)
        pipeline = BatchedInferencePipeline(engine._model)
        times = 12 if self.device == "cuda" else 1
        windows = self.windows * times
        audio = np.concatenate(windows)
        clips = []
        begin = 0
        for window in windows:
            clips.append({"start": begin / SAMPLE_RATE, "end": (begin + len(window)) / SAMPLE_RATE})
            begin += len(window)
        size = 64 if self.device == "cuda" else 4

        def theirs() -> None:
            heard, _ = pipeline.transcribe(
                audio, language="en", batch_size=size, beam_size=1, temperature=0.0,
                without_timestamps=True, word_timestamps=True, vad_filter=False,
                clip_timestamps=clips,
            )  # fmt: skip
            list(heard)

        def ours() -> None:
            for first in range(0, len(windows), size):
                engine.transcribe(windows[first : first + size], GREEDY)

        rounds = [(seconds(ours, 1), seconds(theirs, 1)) for _ in range(3)]
        length = len(audio) / SAMPLE_RATE
        return {
            "audio_seconds": round(length),
            "batch": size,
            "ours_realtime": [round(length / a) for a, _ in rounds],
            "faster_whisper_realtime": [round(length / b) for _, b in rounds],
        }

    def alignment(self) -> dict[str, Any]:
        """pico-align's CTC on this device beside the CPU: word times and speed."""
        request = AlignerRequest("ctc", "pico-align", "en", device="cpu")
        here, there = load_ctc(request), load_ctc(replace(request, device=self.device))
        words = ("good", "morning", "anna", "how", "are", "you", "today", "peter")
        batch = [SpokenWindow(window, words) for window in islice(cycle(self.windows), 16)]
        far = [
            abs(a.start - b.start)
            for one, other in zip(here.align(batch), there.align(batch), strict=True)
            for a, b in zip(one, other, strict=True)
        ]
        return {
            "largest_difference_ms": round(1000 * max(far), 1),
            "ms_a_window": round(1000 * seconds(partial(there.align, batch)) / len(batch), 2),
            "cpu_ms_a_window": round(1000 * seconds(partial(here.align, batch), 1) / len(batch), 2),
        }

    def detection(self) -> dict[str, float]:
        """Silero on one core: seconds of audio a second."""
        took = seconds(partial(speech_spans, self.audio, WINDOW_SECONDS), 1)
        return {"realtime": round(len(self.audio) / SAMPLE_RATE / took)}

    @property
    def kind(self) -> str:
        return "float16" if self.device == "cuda" else "int8"


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


def main() -> None:
    """Run every part and write what each found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", type=Path, required=True, help="a CTranslate2 model's directory")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("audio", type=Path, nargs="+")
    chosen = parser.parse_args()
    bench = Bench(chosen.model.absolute(), chosen.device, chosen.audio)
    parts = (
        bench.machine, bench.text, bench.fallback, bench.steps, bench.batches, bench.peer,
        bench.alignment, bench.detection,
    )  # fmt: skip
    results: dict[str, Any] = {}
    for part in parts:
        started = time.perf_counter()
        try:
            found = part()
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"[:400]}
            traceback.print_exc()
        results[part.__name__] = found | {"took_seconds": round(time.perf_counter() - started, 1)}
        print(part.__name__, json.dumps(results[part.__name__], ensure_ascii=False), flush=True)
        chosen.out.write_text(json.dumps(results, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()

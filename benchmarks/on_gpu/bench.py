"""One model on one device, and the windows of the recordings that it hears."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np
from faster_whisper.audio import decode_audio

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.vad import speech_spans
from gpu_worker.models.whisper import longest_window
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine, load
from gpu_worker.transcription.windows import pack_windows

GREEDY = DecodeOptions(language="en", temperatures=(0.0,))


class Bench:
    """What every part of the measurement needs."""

    def __init__(self, model: Path, device: str, paths: Sequence[Path]) -> None:
        self.model, self.device = str(model), device
        self.window_seconds = longest_window(model)
        audio = np.concatenate([decode_audio(str(path)) for path in paths])
        self.audio: Audio = np.asarray(audio, np.float32)
        spans = speech_spans(self.audio, self.window_seconds)
        packed = pack_windows(spans, int(self.window_seconds * SAMPLE_RATE))
        # On a CPU only the program is tried.
        self.windows = [window.cut(self.audio) for window in packed][: None if self.is_gpu else 6]

    @property
    def is_gpu(self) -> bool:
        """Whether figures are wanted, and not only that the program runs."""
        return self.device == "cuda"

    @property
    def compute_type(self) -> str:
        """The usual one of this device."""
        return "float16" if self.is_gpu else "int8"

    @property
    def rounds(self) -> int:
        """How often each thing is timed."""
        return 3 if self.is_gpu else 1

    def engine(self, compute_type: str = "", device: str = "") -> FasterWhisperEngine:
        """The model, loaded anew."""
        chosen = compute_type or self.compute_type
        return load(EngineRequest(self.model, device=device or self.device, compute_type=chosen))

    def repeated(self, count: int) -> list[Audio]:
        """So many windows: those of the recordings again and again."""
        return list(islice(cycle(self.windows), count))


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Median wall time of `work` after one warm-up."""
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times[1:])

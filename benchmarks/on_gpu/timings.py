"""Parts that ask how fast the device is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from faster_whisper import BatchedInferencePipeline

from benchmarks.on_gpu.bench import GREEDY, Bench, seconds
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.vad import speech_spans
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine
from gpu_worker.transcription.engines.features import Features

BATCHES = (1, 8, 16, 32, 64, 128)
PLAIN = replace(GREEDY, word_timestamps=False)


def prepared_features(engine: FasterWhisperEngine, windows: list[Audio]) -> Features:
    """The features of windows, shape (windows, mels, 3000)."""
    return np.stack([engine.prepare(window).features for window in windows])


def batches(bench: Bench) -> dict[str, Any]:
    """Seconds of audio a second through `transcribe`, by batch, with and without word times."""
    engine = bench.engine()
    found = {}
    for size in BATCHES if bench.is_gpu else (1, 2):
        batch = bench.repeated(size)
        length = sum(map(len, batch)) / SAMPLE_RATE
        found[str(size)] = {
            "with_words": round(
                length / seconds(partial(engine.transcribe, batch, GREEDY), bench.rounds)
            ),
            "without": round(
                length / seconds(partial(engine.transcribe, batch, PLAIN), bench.rounds)
            ),
        }
    return found


def steps(bench: Bench) -> dict[str, float]:
    """Milliseconds a window of the parts of a batch of 32."""
    engine = bench.engine()
    size = 32 if bench.is_gpu else 2
    batch = bench.repeated(size)
    mel = prepared_features(engine, batch)
    parts = {
        "features_on_the_cpu": seconds(partial(prepared_features, engine, batch), bench.rounds),
        "encoder": seconds(partial(engine._model.encode, mel), bench.rounds),
        "features_encoder_and_text": seconds(
            partial(engine.transcribe, batch, PLAIN), bench.rounds
        ),
        "all_with_words": seconds(partial(engine.transcribe, batch, GREEDY), bench.rounds),
    }
    return {name: round(1000 * took / size, 3) for name, took in parts.items()}


def peer(bench: Bench) -> dict[str, Any]:
    """faster-whisper's batched pipeline and ours on one long recording, in turns."""
    engine = bench.engine()
    pipeline = BatchedInferencePipeline(engine._model)
    windows = bench.windows * (12 if bench.is_gpu else 1)
    audio = np.concatenate(windows)
    clips = []
    begin = 0
    for window in windows:
        clips.append({"start": begin / SAMPLE_RATE, "end": (begin + len(window)) / SAMPLE_RATE})
        begin += len(window)
    size = 64 if bench.is_gpu else 4

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

    rounds = [(seconds(ours, 1), seconds(theirs, 1)) for _ in range(bench.rounds)]
    length = len(audio) / SAMPLE_RATE
    return {
        "audio_seconds": round(length),
        "batch": size,
        "ours_realtime": [round(length / a) for a, _ in rounds],
        "faster_whisper_realtime": [round(length / b) for _, b in rounds],
    }


def detection(bench: Bench) -> dict[str, float]:
    """Silero on one core: seconds of audio a second."""
    took = seconds(partial(speech_spans, bench.audio, bench.window_seconds), 1)
    return {"realtime": round(len(bench.audio) / SAMPLE_RATE / took)}

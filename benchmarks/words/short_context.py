"""What shorter windows, and less silence behind them, cost in words and save in time.

    python -m benchmarks.words.short_context [--models tiny.en base] [--beams 5]
                                             [--speech DIRECTORY]

Whisper was trained on 30 s. CTranslate2 also encodes less, and then encoder and decoder have less
to do. A way is the most seconds of a window, and how many seconds of silence follow it at least
(30: the window is filled up to 30 s, as the product does it). Each recording is heard five times,
with some more silence in front each time, as in `decode_quality`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import SPEECH, Recording, recordings, samples
from benchmarks.machine import print_machine
from benchmarks.words.decode_quality import SECONDS
from gpu_worker.accuracy.counting import word_error
from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, faster_whisper
from gpu_worker.transcription.engines.encoding import encode
from gpu_worker.transcription.engines.features import FRAMES, Features

WAYS = ((30, 30), (30, 2), (24, 3), (20, 10), (20, 5), (20, 2), (10, 30), (10, 5))
STEP_SECONDS = 5.0


def features_with(silence: int, extract: FeatureExtractor, window: Audio) -> Features:
    """The window with so many seconds of silence behind it, in steps of five seconds."""
    seconds = len(window) / SAMPLE_RATE + silence
    frames = min(FRAMES, round(math.ceil(seconds / STEP_SECONDS) * STEP_SECONDS * 100))
    return filled(extract(window, padding=extract.n_fft)[:, :frames], frames)


def filled(features: Features, frames: int) -> Features:
    """Features up to that length, with silence."""
    missing = frames - features.shape[1]
    return np.pad(features, ((0, 0), (0, missing)), constant_values=float(features.max()) - 2.0)


def encode_equal(model: WhisperModel, features: Sequence[Features]) -> object:
    """Encode a batch, all as long as its longest."""
    longest = max(one.shape[1] for one in features)
    return encode(model, [filled(one, longest) for one in features])


def errors_of(
    engine: faster_whisper.FasterWhisperEngine,
    known: Sequence[Recording],
    way: tuple[int, int],
    beams: int,
) -> tuple[int, int, float]:
    """Words, errors and processor seconds of all recordings."""
    engine.max_window_seconds = float(way[0])
    words = errors = 0
    began = time.process_time()
    for recording in known:
        audio = samples(recording.path)
        for seconds in SECONDS:
            shifted = np.concatenate([np.zeros(round(seconds * SAMPLE_RATE), np.float32), audio])
            options = DecodeOptions(language=recording.language, beam_size=beams)
            with (
                patch.object(faster_whisper, "log_mel", lambda e, w: features_with(way[1], e, w)),
                patch.object(faster_whisper, "encode", encode_equal),
            ):
                chunk = transcribe_chunk(engine, shifted, options)
            text = " ".join(segment.text for segment in chunk.segments)
            found = word_error(recording.text, text, recording.language)
            words, errors = words + found.words, errors + found.errors
    return words, errors, time.process_time() - began


def main() -> None:
    """Print a row for each way of each model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    given = parser.parse_args()
    print_machine()
    print("\nmodel     window s  silence s  words  errors  WER %  processor s")
    for name in given.models:
        files = whisper_files(name)
        request = EngineRequest(files.job, device="cpu", compute_type="int8", threads=1)
        engine = faster_whisper.load(request)
        known = [
            recording
            for recording in recordings(given.speech)
            if recording.text and (recording.language == "en" or not files.is_english)
        ]
        for way in WAYS:
            words, errors, took = errors_of(engine, known, way, given.beams)
            wer = 100 * errors / words
            print(f"{name:<12}{way[0]:>6}{way[1]:>11}{words:>7}{errors:>8}{wer:>7.2f}{took:>13.0f}")


if __name__ == "__main__":
    main()

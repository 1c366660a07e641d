"""What beams and silence behind a window's sound bring: wrong words, and seconds of a processor.

    python -m benchmarks.words.decode_quality [--models tiny.en base] [--speech DIRECTORY]
                                        [--model-directory DIRECTORY]

Few words are judged, and a model writes some of them by chance. So each recording is heard five
times, each time with some more silence in front, which moves its windows by parts of a frame. All
four ways hear the same samples in turn. `zeros` fills a window's features up with zeros, as
faster-whisper does; `silence` with silence (`gpu_worker.transcription.engines.features`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import SPEECH, Recording, recordings, samples
from benchmarks.machine import print_machine
from gpu_worker.accuracy.counting import word_error
from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, faster_whisper
from gpu_worker.transcription.engines.features import Features, log_mel

SECONDS = (0.0, 0.107, 0.231, 0.353, 0.479)  # of silence in front
BEAMS = (1, 5)


def with_zeros(extract: FeatureExtractor, window: Audio) -> Features:
    """faster-whisper's way to fill windows up."""
    filled: Features = pad_or_trim(extract(window)[..., :-1])
    return filled


FILLS = {"zeros": with_zeros, "silence": log_mel}


def heard(
    engine: faster_whisper.FasterWhisperEngine, recording: Recording
) -> Iterator[tuple[tuple[str, int], int, int, float]]:
    """Of each way: its name, words, errors, and seconds of a processor, over all shifts."""
    audio = samples(recording.path)
    for seconds in SECONDS:
        shifted = np.concatenate([np.zeros(round(seconds * SAMPLE_RATE), np.float32), audio])
        for fill, features in FILLS.items():
            for beams in BEAMS:
                options = DecodeOptions(
                    language=recording.language, beam_size=beams, word_timestamps=False
                )
                begin = time.process_time()
                with patch.object(faster_whisper, "log_mel", features):
                    chunk = transcribe_chunk(engine, shifted, options)
                took = time.process_time() - begin
                text = " ".join(segment.text for segment in chunk.segments)
                found = word_error(recording.text, text, recording.language)
                yield (fill, beams), found.words, found.errors, took


def main() -> None:
    """Print a row for each way of each model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    parser.add_argument("--model-directory", type=Path, default=None, help="holds NAME/model.bin")
    given = parser.parse_args()
    print_machine()
    known = [recording for recording in recordings(given.speech) if recording.text]
    print("\nmodel     behind   beams   words  errors  WER %  processor s")
    for name in given.models:
        files = whisper_files(name, given.model_directory)
        engine = faster_whisper.load(EngineRequest(files.job, device="cpu", compute_type="int8"))
        total: dict[tuple[str, int], list[float]] = {}
        for recording in known:
            if recording.language == "en" or not files.is_english:
                for way, *figures in heard(engine, recording):
                    sums = total.setdefault(way, [0.0, 0.0, 0.0])
                    total[way] = [old + new for old, new in zip(sums, figures, strict=True)]
        for (fill, beams), (words, errors, took) in total.items():
            wer = 100 * errors / words
            print(
                f"{name:<10}{fill:<9}{beams:<6}{words:>7.0f}{errors:>8.0f}{wer:>7.2f}{took:>13.0f}"
            )


if __name__ == "__main__":
    main()

"""Speech that a window's text passes over: words that the second look brings back.

    python -m benchmarks.words.passed_over [--seeds 0 6] [--model base] [--speech DIRECTORY]

Recordings of known text are joined in an order that the seed draws, with pads of a length that it
draws too, and decoded once, and once more with the second look. Now and then a window loses what
comes behind some of its words, though the model is sure of them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy.recordings import SPEECH, recordings, samples
from benchmarks.machine import print_machine
from gpu_worker.accuracy.counting import word_error
from gpu_worker.audio.speech import VadOptions
from gpu_worker.audio.vad import speech_spans
from gpu_worker.models.capabilities import usual_beam_size
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.decoded import DecodedWindow
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.faster_whisper import load
from gpu_worker.transcription.second_look import second_look
from gpu_worker.transcription.second_tries import Tried
from gpu_worker.transcription.windows import Window, pack_windows
from gpu_worker.words import join_texts

WINDOW_SECONDS = 30.0
PADS_MS = (60, 100, 150, 200)


def main() -> None:
    """Print a row for each seed: word errors of one look and of two."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 6), metavar=("FIRST", "END"))
    parser.add_argument("--model", default="base")
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    given = parser.parse_args()
    print_machine()
    engine = load(EngineRequest(given.model, device="cpu", compute_type="int8"))
    options = DecodeOptions(
        language="en", temperatures=(0.0,), beam_size=usual_beam_size(given.model)
    )
    known = [one for one in recordings(given.speech) if one.text and one.language == "en"]
    sounds = {one.name: samples(one.path) for one in known}

    def decode(windows: Sequence[Window]) -> list[DecodedWindow]:
        if not windows:
            return []
        texts = engine.transcribe([window.cut(audio) for window in windows], options)
        return [
            DecodedWindow.of(window, Tried(text), options)
            for window, text in zip(windows, texts, strict=True)
        ]

    print("\nseed  pad ms  words  errors, one look  two looks  windows  looked at again  left, s")
    for seed in range(*given.seeds):
        dice = random.Random(seed)
        order = dice.sample(known, len(known))
        vad = VadOptions(pad_ms=dice.choice(PADS_MS))
        audio = np.concatenate([sounds[one.name] for one in order])
        spans = speech_spans(audio, WINDOW_SECONDS, vad)
        once = decode(pack_windows(spans, int(WINDOW_SECONDS * SAMPLE_RATE)))
        twice, left = second_look(audio, once, decode, vad)
        said = " ".join(one.text for one in order)
        errors = [
            word_error(said, join_texts(window.text.text for window in heard), "en")
            for heard in (once, twice)
        ]
        print(
            f"{seed:>4}{vad.pad_ms:>8}{errors[0].words:>7}{errors[0].errors:>18}"
            f"{errors[1].errors:>11}{len(once):>9}{len(twice) - len(once):>17}"
            f"{sum(span.samples for span in left) / SAMPLE_RATE:>9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

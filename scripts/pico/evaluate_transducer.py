"""Measure the word error rate of the small Parakeet on the bundled held-out speech, by head.

    python -m scripts.pico.evaluate_transducer

Each utterance is a window of its own. Needs onnx-asr, and the bundled data alone.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import get_args

import jiwer

from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.parakeet.loading import load
from tests.inputs.parakeet_model import Head, write_parakeet
from tests.inputs.speech import heldout


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0]).parse_args()
    said = heldout()
    for head in get_args(Head):
        with tempfile.TemporaryDirectory() as place:
            model = str(write_parakeet(Path(place), head))
            engine = load(EngineRequest(model, device="cpu", threads=1))
            texts = engine.transcribe([one.samples for one in said], DecodeOptions(language="en"))
        error = jiwer.wer([one.text for one in said], [text.text for text in texts])
        print(f"{head}: {100 * error:.1f} % of the words of {len(said)} utterances are wrong")


if __name__ == "__main__":
    main()

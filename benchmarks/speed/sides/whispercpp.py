"""whisper.cpp, with the weights of the CTranslate2 files in its own 8 bits.

pip install --no-deps pywhispercpp platformdirs
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.accuracy.recordings import samples
from benchmarks.speed.ggml_weights import write_ggml
from benchmarks.speed.sides import OneAtATime, Setup
from gpu_worker.models.weights.reading import read_whisper


class WhisperCpp(OneAtATime):
    """One window after the other, greedy with its own fallback, with times of tokens."""

    def __init__(self, setup: Setup) -> None:
        from pywhispercpp.model import Model
        from transformers import WhisperFeatureExtractor

        directory = Path(setup.directory)
        weights = read_whisper(directory)
        filters = WhisperFeatureExtractor(feature_size=weights.dimensions["n_mels"]).mel_filters.T
        with tempfile.TemporaryDirectory(prefix="scriptorium-speed-") as scratch:
            path = Path(scratch) / "ggml.bin"
            write_ggml(path, weights, directory / "tokenizer.json", filters)
            self._model = Model(
                str(path),
                redirect_whispercpp_logs_to=os.devnull,
                n_threads=setup.threads,
                language="en",
                token_timestamps=True,
                print_progress=False,
            )

    def text(self, path: Path, batch_size: int) -> str:
        """One file's."""
        return " ".join(segment.text for segment in self._model.transcribe(samples(path)))


def load(setup: Setup) -> WhisperCpp:
    """With its model in memory."""
    return WhisperCpp(setup)

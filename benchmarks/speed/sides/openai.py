"""openai-whisper, with the weights of the CTranslate2 files in float32.

    pip install --no-deps openai-whisper tiktoken numba llvmlite more-itertools

`--no-deps`, because it would bring another torch; into an environment of its own, if the versions
of the one with the product are to stay as they are (`--peers-python`).
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.accuracy.recordings import samples
from benchmarks.speed.sides import OneAtATime, Setup
from gpu_worker.models.weights.reading import read_whisper


class OpenAi(OneAtATime):
    """Its `transcribe`: one window after the other."""

    def __init__(self, setup: Setup) -> None:
        import torch
        from whisper.model import ModelDimensions, Whisper

        torch.set_num_threads(setup.threads)
        weights = read_whisper(Path(setup.directory))
        self._model = Whisper(ModelDimensions(**weights.dimensions))
        state = {name: torch.from_numpy(value) for name, value in weights.state.items()}
        self._model.load_state_dict(state)
        heads = torch.zeros(
            weights.dimensions["n_text_layer"], weights.decoder_heads, dtype=torch.bool
        )
        for layer, head in weights.alignment_heads:
            heads[layer, head] = True
        self._model.register_buffer("alignment_heads", heads.to_sparse(), persistent=False)
        self._model.eval()

    def text(self, path: Path, batch_size: int) -> str:
        """One file's; the samples are given, because its own reader runs ffmpeg."""
        found = self._model.transcribe(
            samples(path), language="en", fp16=False, word_timestamps=True, verbose=None
        )
        return str(found["text"])


def load(setup: Setup) -> OpenAi:
    """With its model in memory."""
    return OpenAi(setup)

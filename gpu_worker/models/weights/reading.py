"""Read the weights of a Whisper in whichever of the two forms a directory holds."""

from __future__ import annotations

from pathlib import Path

from gpu_worker.models.weights.ctranslate2_whisper import read_ctranslate2
from gpu_worker.models.weights.safetensors_whisper import FILE, read_safetensors
from gpu_worker.models.weights.whisper import WhisperWeights


def read_whisper(directory: Path) -> WhisperWeights:
    """Read the directory's model. Raises OSError, or ValueError if it holds no Whisper."""
    if (directory / FILE).is_file():
        return read_safetensors(directory)
    return read_ctranslate2(directory)

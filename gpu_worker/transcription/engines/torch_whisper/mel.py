"""Compute log-mel features on the device, equal to faster-whisper's (within 1e-4).

A window is filled up to 30 s with silence, as in `engines/features.py`, which says why.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from torch import Tensor

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines.features import FRAMES

_FFT, _HOP = 400, 160  # samples (openai/whisper audio.py)
_SAMPLES = 30 * SAMPLE_RATE + _FFT


class LogMel:
    """The filters of a model's features."""

    def __init__(self, mels: int, device: str) -> None:
        filters = FeatureExtractor.get_mel_filters(SAMPLE_RATE, _FFT, n_mels=mels)
        self._filters = torch.from_numpy(filters).float().to(device)
        self._shape = torch.hann_window(_FFT, device=device)

    def __call__(self, windows: Sequence[Audio]) -> Tensor:
        """Return the features of windows of at most 30 s, (windows, mels, 3000)."""
        filled = np.zeros((len(windows), _SAMPLES), np.float32)
        for row, window in zip(filled, windows, strict=True):
            row[: len(window)] = window[:_SAMPLES]
        spectrum = torch.stft(
            torch.from_numpy(filled).to(self._shape.device),
            _FFT,
            _HOP,
            window=self._shape,
            return_complex=True,
        )
        power = spectrum[..., :-1].abs().square()
        levels = (self._filters @ power).clamp(min=1e-10).log10()
        levels = torch.maximum(levels, levels.amax(dim=(1, 2), keepdim=True) - 8.0)
        return (levels[..., :FRAMES] + 4.0) / 4.0

"""Compute the input of a Whisper model's encoder: log-mel features of 30 s.

A window that is shorter is filled up with silence, as whisperX and transformers do. faster-whisper
and openai/whisper's `transcribe` fill it up with zeros, which among features are no silence but a
steady sound, 4 decades below full scale. With silence `base` writes fewer wrong words (measured by
`python -m benchmarks.words.decode_quality`, in `docs/accuracy.md`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from gpu_worker.audio.samples import Audio

Features = np.ndarray[Any, np.dtype[np.float32]]
FRAMES = 3000  # of 10 ms
_RANGE = 2.0  # 8 decades of power below the loudest, in features (openai/whisper audio.py)
_HOP_SAMPLES = 160  # of a frame
_KEPT_SILENCE = 100  # frames
_LEAST = -1.5  # the feature of a power of 1e-10 or less


@dataclass(frozen=True, eq=False, slots=True)
class PreparedWindow:
    """A window's samples, and their features of shape (mels, 3000)."""

    audio: Audio
    features: Features


def log_mel(extract: FeatureExtractor, window: Audio) -> Features:
    """Compute the features of a window of at most 30 s, shape (mels, 3000)."""
    return _filled(extract(window, padding=extract.n_fft))


def without_silence(window: PreparedWindow) -> PreparedWindow:
    """Cut off most of the silence that fills a window up to 30 s: it takes most of the time.

    Enough to tell its language; a text needs all of it (docs/speed.md).
    """
    frames = len(window.audio) // _HOP_SAMPLES + _KEPT_SILENCE
    frames = min(frames + frames % 2, FRAMES)  # the encoder halves them
    return replace(window, features=np.ascontiguousarray(window.features[:, :frames]))


def _filled(features: Features) -> Features:
    """Fill features up to 30 s with silence, shape (mels, 3000).

    The result is as if zeros had followed the window's samples.
    """
    features = features[:, :FRAMES]
    silence = max(float(features.max()) - _RANGE, _LEAST)
    missing = FRAMES - features.shape[1]
    return np.pad(features, ((0, 0), (0, missing)), constant_values=silence)

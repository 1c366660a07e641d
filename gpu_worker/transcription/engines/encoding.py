"""Encode windows with CTranslate2, and take the encodings of some of them."""

from __future__ import annotations

from collections.abc import Sequence

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel

from gpu_worker.transcription.engines.features import Features


def encode(model: WhisperModel, features: Sequence[Features]) -> ctranslate2.StorageView:
    """Encode windows, each with features of shape (mels, 3000); shape (windows, 1500, width).

    On a CPU each window is encoded alone: a batch is no faster there (docs/speed.md), takes more
    memory, and might make a window's encoding depend on its neighbours.
    """
    if model.model.device != "cpu":
        return model.encode(np.stack(features))
    views = [model.encode(one[np.newaxis]) for one in features]
    if len(views) == 1:
        return views[0]
    return ctranslate2.StorageView.from_array(np.concatenate([np.asarray(view) for view in views]))


def encodings_of(
    encoded: ctranslate2.StorageView, indices: Sequence[int]
) -> ctranslate2.StorageView:
    """Return the encodings of some of a batch's windows."""
    if len(indices) == encoded.shape[0]:
        return encoded
    host = encoded.to(ctranslate2.DataType.float32).to_device(ctranslate2.Device.cpu)
    return ctranslate2.StorageView.from_array(np.asarray(host)[list(indices)])

"""Audio as models take it: an array of floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]  # mono samples at 16 kHz in -1..1, shape (samples,)


def pcm_to_audio(pcm: bytes) -> Audio:
    """Turn PCM (`pcm.py`) into floats, each sample divided by 32,768."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0

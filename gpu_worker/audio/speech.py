"""The options and the result of speech detection: plain data, without the model.

The control plane imports this module; `vad.py` loads a model library.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FRAME_SAMPLES = 512  # 32 ms at 16 kHz: what Silero judges at once

# The probability that each frame is speech, 0..1, shape (frames,).
Likelihood = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VadOptions:
    """When a sound counts as speech (Silero's own parameters)."""

    threshold: float = 0.5  # speech probability above which a frame is speech
    min_speech_ms: int = 0
    min_silence_ms: int = 160  # a shorter pause ends no span (faster-whisper's batched value)
    pad_ms: int = 400  # added at both ends, so that no quiet consonant is cut

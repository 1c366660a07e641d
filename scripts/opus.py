"""Write samples as Opus in Ogg, small enough to bundle."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from gpu_worker.pcm import SAMPLE_RATE
from scripts.speech import Samples

BLOCK = SAMPLE_RATE  # samples handed to the encoder at a time


def write_opus(path: Path, samples: Samples, bits_per_second: int = 24_000) -> None:
    """Encode mono samples in -1..1 at SAMPLE_RATE."""
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE)
        stream.layout = "mono"
        stream.bit_rate = bits_per_second
        levels = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
        for start in range(0, len(levels), BLOCK):
            block = levels[np.newaxis, start : start + BLOCK]
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

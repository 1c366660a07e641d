"""An engine that kills its process, as a crashing driver does, on windows with a shouting speaker.

Takes the place of the fake engine, under its names.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.loaded import register_engine
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine
from gpu_worker.transcription.engines.fake import load as load_fake

SHOUT = 20.0  # by how much a test amplifies speech to make it deadly
POISON_LEVEL = 0.3  # mean absolute sample of a second; our speech stays under 0.15


class DeadlyEngine(FakeEngine):
    """Dies on poison."""

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        if any(is_poison(window) for window in windows):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().transcribe(windows, options)


def is_poison(window: Audio) -> bool:
    """Whether any second of it is shouted."""
    seconds = window[: len(window) // 16_000 * 16_000].reshape(-1, 16_000)
    return bool(len(seconds) and np.abs(seconds).mean(axis=1).max() > POISON_LEVEL)


def _load(request: EngineRequest) -> DeadlyEngine:
    return DeadlyEngine(request.model, load_fake(request).speed)


register_engine("fake", _load)

"""A fake engine that begins once a file is there, so that all work waits before any is done."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from gpu_worker.audio.samples import Audio
from gpu_worker.loaded import register_engine
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine


class GatedEngine(FakeEngine):
    """Waits for the file that the environment names."""

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        while not Path(os.environ["ENGINE_GATE"]).exists():
            time.sleep(0.05)
        return super().transcribe(windows, options)


def _load(request: EngineRequest) -> GatedEngine:
    return GatedEngine(request.model)


register_engine("fake", _load)

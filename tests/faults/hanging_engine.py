"""An engine that never comes back from its first batch. Takes the fake engine's place."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gpu_worker.audio.samples import Audio
from gpu_worker.loaded import register_engine
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine


class HangingEngine(FakeEngine):
    """Sleeps for an hour."""

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        time.sleep(3600)
        return super().transcribe(windows, options)


def _load(request: EngineRequest) -> HangingEngine:
    return HangingEngine(request.model)


register_engine("fake", _load)

"""An engine that never comes back from its first batch. Takes the fake engine's place."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gpu_worker.transcription.engines import Audio, DecodeOptions, EngineRequest, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine
from gpu_worker.transcription.engines.loaded import register_engine


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

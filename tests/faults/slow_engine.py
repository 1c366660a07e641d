"""A fake engine that takes as long for a batch as the environment says."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from gpu_worker.audio.samples import Audio
from gpu_worker.loaded import register_engine
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine


class SlowEngine(FakeEngine):
    """Sleeps before it answers."""

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        time.sleep(float(os.environ["SLOW_ENGINE_SECONDS"]))
        return super().transcribe(windows, options)


def _load(request: EngineRequest) -> SlowEngine:
    return SlowEngine(request.model)


register_engine("fake", _load)

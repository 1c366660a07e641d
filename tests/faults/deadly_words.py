"""Aligners and diarizers that raise, or kill their process as a crashing driver does.

They are had by name, beside the fake ones.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

from gpu_worker.alignment import AlignerRequest, SpokenWindow
from gpu_worker.alignment.fake import FakeAligner
from gpu_worker.audio.samples import Audio
from gpu_worker.diarization import DiarizerRequest, ShardVoices
from gpu_worker.diarization.fake import FakeDiarizer
from gpu_worker.loaded import register_aligner, register_diarizer

BROKEN, DEADLY = "fake-12x", "fake-13x"  # names that a submission takes


class FaultyAligner(FakeAligner):
    """Fails on every window."""

    def hear(self, windows: Sequence[SpokenWindow]) -> list[None]:
        fail(self.name)
        return super().hear(windows)


class FaultyDiarizer(FakeDiarizer):
    """Fails on every shard."""

    def embed(self, audio: Audio, windows: range, *given: Any, **named: Any) -> ShardVoices:
        fail(self.name)
        return super().embed(audio, windows, *given, **named)


def fail(name: str) -> None:
    if name == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if name == BROKEN:
        raise RuntimeError("a wire came off")


def _load_aligner(request: AlignerRequest) -> FaultyAligner:
    return FaultyAligner(request.model)


def _load_diarizer(request: DiarizerRequest) -> FaultyDiarizer:
    return FaultyDiarizer(request.model)


register_aligner("fake", _load_aligner)
register_diarizer("fake", _load_diarizer)

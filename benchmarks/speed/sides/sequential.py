"""faster-whisper as it is without batches."""

from __future__ import annotations

from pathlib import Path

from benchmarks.speed.sides import COMPUTE_TYPE, OneAtATime, Setup, options_of_faster_whisper


class Sequential(OneAtATime):
    """One window after the other, each beginning where the last one ended."""

    def __init__(self, setup: Setup) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(
            setup.directory,
            device="cpu",
            compute_type=COMPUTE_TYPE,
            cpu_threads=setup.threads,
        )
        self._options = options_of_faster_whisper(setup)

    def text(self, path: Path, batch_size: int) -> str:
        """One file's."""
        segments, _ = self._model.transcribe(str(path), vad_filter=True, **self._options)
        return " ".join(segment.text.strip() for segment in segments)


def load(setup: Setup) -> Sequential:
    """With its model in memory."""
    return Sequential(setup)

"""faster-whisper's batched pipeline."""

from __future__ import annotations

from pathlib import Path

from benchmarks.speed.sides import COMPUTE_TYPE, OneAtATime, Setup, options_of_faster_whisper


class Batched(OneAtATime):
    """Windows that its speech detector has cut, in batches."""

    def __init__(self, setup: Setup) -> None:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        model = WhisperModel(
            setup.directory,
            device="cpu",
            compute_type=COMPUTE_TYPE,
            cpu_threads=setup.threads,
        )
        self._pipeline = BatchedInferencePipeline(model)
        self._options = options_of_faster_whisper(setup)

    def text(self, path: Path, batch_size: int) -> str:
        """One file's."""
        segments, _ = self._pipeline.transcribe(str(path), batch_size=batch_size, **self._options)
        return " ".join(segment.text.strip() for segment in segments)


def load(setup: Setup) -> Batched:
    """With its model in memory."""
    return Batched(setup)

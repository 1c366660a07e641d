"""whisperX's batched pipeline, text only."""

from __future__ import annotations

from pathlib import Path

from benchmarks.accuracy.peers import quiet
from benchmarks.accuracy.recordings import samples
from benchmarks.speed.sides import COMPUTE_TYPE, OneAtATime, Setup


class WhisperX(OneAtATime):
    """Windows that pyannote's segmentation has cut, in batches."""

    def __init__(self, setup: Setup) -> None:
        with quiet():
            import whisperx

            self._pipeline = whisperx.load_model(
                setup.directory,
                "cpu",
                compute_type=COMPUTE_TYPE,
                language="en",
                threads=setup.threads,
                asr_options={"beam_size": 1},
            )

    def text(self, path: Path, batch_size: int) -> str:
        """One file's."""
        with quiet():
            found = self._pipeline.transcribe(samples(path), batch_size=batch_size, language="en")
        return " ".join(segment["text"].strip() for segment in found["segments"])


def load(setup: Setup) -> WhisperX:
    """With its model in memory."""
    return WhisperX(setup)

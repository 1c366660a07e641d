"""The pipelines that ours is compared with, each as its own defaults have it.

All run in this process with the same model, int8 on the CPU, and are told the language.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.accuracy.recordings import Recording, samples

COMPUTE_TYPE = "int8"
SEQUENTIAL, BATCHED, WHISPERX = "faster-whisper", "faster-whisper batched", "whisperX"
SETTINGS = {
    SEQUENTIAL: "beam 5, vad_filter=True, timestamp tokens, previous text as prompt, fallback",
    BATCHED: "beam 5, its VAD, windows of 30 s, batch 8, no timestamp tokens, no fallback",
    WHISPERX: "beam 5, pyannote's VAD from its package, windows of 30 s, batch 8, no fallback",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A segment as one side gives it out; seconds from the start of the file."""

    start: float
    end: float
    text: str


class Peer(Protocol):
    """One pipeline with its model in memory."""

    def transcribe(self, recording: Recording) -> list[Line]:
        """All of its segments."""


def load_peer(name: str, model: Path) -> Peer:
    """One of SETTINGS, with the CTranslate2 model of the directory."""
    kinds: dict[str, Callable[[Path], Peer]] = {
        SEQUENTIAL: Sequential,
        BATCHED: Batched,
        WHISPERX: WhisperX,
    }
    return kinds[name](model)


def whole_text(lines: Iterable[Line]) -> str:
    """All lines as one text."""
    return " ".join(line.text.strip() for line in lines)


def whisper_model(model: Path) -> Any:
    """faster-whisper's model with all cores."""
    from faster_whisper import WhisperModel

    return WhisperModel(
        str(model), device="cpu", compute_type=COMPUTE_TYPE, cpu_threads=os.cpu_count() or 1
    )


class Sequential:
    """faster-whisper's WhisperModel.transcribe."""

    def __init__(self, model: Path) -> None:
        self._model = whisper_model(model)

    def transcribe(self, recording: Recording) -> list[Line]:
        """One window after the other, each beginning where the last one ended."""
        segments, _ = self._model.transcribe(
            str(recording.path), language=recording.language, beam_size=5, vad_filter=True
        )
        return [Line(part.start, part.end, part.text) for part in segments]


class Batched:
    """faster-whisper's BatchedInferencePipeline."""

    def __init__(self, model: Path) -> None:
        from faster_whisper import BatchedInferencePipeline

        self._pipeline = BatchedInferencePipeline(whisper_model(model))

    def transcribe(self, recording: Recording) -> list[Line]:
        """Windows that its speech detector has cut, in batches."""
        segments, _ = self._pipeline.transcribe(str(recording.path), language=recording.language)
        return [Line(part.start, part.end, part.text) for part in segments]


class WhisperX:
    """whisperX's pipeline, without its align model: text and the windows' times."""

    def __init__(self, model: Path) -> None:
        self._model, self._pipelines = model, dict[str, Any]()

    def transcribe(self, recording: Recording) -> list[Line]:
        """Windows that pyannote's segmentation has cut, in batches."""
        with quiet():
            if recording.language not in self._pipelines:
                self._pipelines[recording.language] = self._load(recording.language)
            found = self._pipelines[recording.language].transcribe(
                samples(recording.path), batch_size=8, language=recording.language
            )
        return [Line(part["start"], part["end"], part["text"]) for part in found["segments"]]

    def _load(self, language: str) -> Any:
        import whisperx

        return whisperx.load_model(
            str(self._model),
            "cpu",
            compute_type=COMPUTE_TYPE,
            language=language,
            threads=os.cpu_count() or 1,
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of libraries that are not at issue here."""
    import logging

    logging.getLogger("whisperx").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch.utilities.migration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""Where somebody speaks: Silero's model, as faster-whisper carries it.

Runs inside a chunk's task, so that a long file's speech is looked for in
parallel. Knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpu_worker.engines import Audio
from gpu_worker.transcript import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """Speech between two samples of an array."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class VadOptions:
    """When a sound counts as speech (Silero's own parameters)."""

    threshold: float = 0.5  # speech probability above which a frame is speech
    min_speech_ms: int = 0
    min_silence_ms: int = 160  # a shorter pause ends no span (faster-whisper's batched value)
    pad_ms: int = 400  # added at both ends, so that no quiet consonant is cut


def speech_spans(
    audio: Audio, max_seconds: float, options: VadOptions | None = None
) -> tuple[SpeechSpan, ...]:
    """Spans of speech in order, without overlap, each at most `max_seconds` long."""
    if len(audio) < SAMPLE_RATE // 100:
        return ()
    from faster_whisper import vad  # late: it loads ONNX Runtime

    chosen = options or VadOptions()
    found: list[dict[str, Any]] = vad.get_speech_timestamps(
        audio,
        vad.VadOptions(
            threshold=chosen.threshold,
            min_speech_duration_ms=chosen.min_speech_ms,
            max_speech_duration_s=max_seconds,
            min_silence_duration_ms=chosen.min_silence_ms,
            speech_pad_ms=chosen.pad_ms,
        ),
    )
    return tuple(SpeechSpan(int(span["start"]), int(span["end"])) for span in found)

"""Where somebody speaks: Silero's model, as faster-whisper carries it.

Runs inside a chunk's task, so that a long file's speech is looked for in
parallel. Knows arrays only.
"""

from __future__ import annotations

from typing import Any

from gpu_worker.engines import Audio
from gpu_worker.speech import SpeechSpan, VadOptions
from gpu_worker.transcript import SAMPLE_RATE


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

"""The ways of hearing that are set beside each other: ours, ours before, and faster-whisper's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.audio.vad import speech_spans
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.decoded import DecodedWindow
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest, faster_whisper
from gpu_worker.transcription.second_look import second_look
from gpu_worker.transcription.second_tries import SHARE, Tried
from gpu_worker.transcription.windows import Window, pack_windows
from gpu_worker.words import join_texts

Hear = Callable[[Audio, DecodeOptions, VadOptions], str]


@dataclass(frozen=True, slots=True)
class Sides:
    """One model in memory, heard in several ways with the same options."""

    engine: Any

    @classmethod
    def load(cls, model: str) -> Sides:
        """Load a model on the CPU, in int8."""
        return cls(faster_whisper.load(EngineRequest(model, device="cpu", compute_type="int8")))

    def before(self, audio: Audio, options: DecodeOptions, vad: VadOptions) -> str:
        """Temperatures as the only fallback, and nothing dropped but what Whisper drops."""

        def decode(found: Sequence[Window]) -> list[DecodedWindow]:
            if not found:
                return []
            texts = self.engine.transcribe([window.cut(audio) for window in found], options)
            return [
                DecodedWindow.of(window, Tried(text), options)
                for window, text in zip(found, texts, strict=True)
            ]

        longest = self.engine.max_window_seconds
        spans = speech_spans(audio, longest, vad)
        windows = pack_windows(spans, int(longest * SAMPLE_RATE))
        heard, _ = second_look(audio, decode(windows), decode, vad)
        return join_texts(one.text.text for one in heard)

    def after(self, audio: Audio, options: DecodeOptions, vad: VadOptions) -> str:
        """As a worker does it."""
        return self._ours(audio, options, vad, SHARE)

    def without_doubts(self, audio: Audio, options: DecodeOptions, vad: VadOptions) -> str:
        """As a worker with second_tries=0: only texts that fail are decoded again."""
        return self._ours(audio, options, vad, 0.0)

    def _ours(self, audio: Audio, options: DecodeOptions, vad: VadOptions, share: float) -> str:
        heard = transcribe_chunk(self.engine, audio, options, vad=vad, second_tries=share)
        return join_texts(segment.text for segment in heard.segments)

    def peer(self, audio: Audio, options: DecodeOptions, vad: VadOptions) -> str:
        """faster-whisper's own pipeline, with its filter of speech, at the same threshold."""
        segments, _ = self.engine._model.transcribe(
            audio,
            language=options.language,
            beam_size=options.beam_size,
            initial_prompt=options.initial_prompt,
            vad_filter=True,
            vad_parameters={"threshold": vad.threshold},
        )
        return join_texts(segment.text for segment in segments)

"""The engine: windows of sound in, texts with the model's own word times out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.devices.onnx_session import LARGEST, translating_onnx_errors
from gpu_worker.errors import InvalidOption
from gpu_worker.models.parakeet import check_writes
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning
from gpu_worker.transcription.engines import (
    DecodeOptions,
    DetectedLanguage,
    WindowText,
    check_window,
    text_of,
)
from gpu_worker.transcription.engines.fallback import compression_ratio
from gpu_worker.transcription.engines.parakeet.words import Token, mean_logprob, timed_words
from gpu_worker.transcription.engines.word_edges import fit_to_sound

# Features are normalized over the window: a shorter sound is filled up to this.
_SHORTEST_SAMPLES = SAMPLE_RATE // 4
# What a job may set without a warning: it has no effect here, and does no harm either.
_FOLLOWED = frozenset(
    {"language", "task", "word_timestamps", "compression_ratio_threshold", "logprob_threshold",
     "no_speech_threshold", "temperatures", "best_of", "patience", "length_penalty"}
)  # fmt: skip
_USUAL = DecodeOptions()


class ParakeetEngine:
    """One model of NeMo's Parakeet kind, by onnx-asr.

    On a CPU each window is heard alone, so that its text cannot depend on others, and since a
    batch is no faster there. On a GPU windows are heard together: their features are normalized
    each over its own length, and the encoder ignores what is behind it.
    """

    kind = "parakeet"

    def __init__(
        self, name: str, model: Any, device: str, longest: float, languages: frozenset[str]
    ) -> None:
        """`model` is onnx-asr's, with timestamps."""
        self.name = name
        self.device = device
        self.shares_cores = device == "cpu"
        self.max_window_seconds = longest
        self.languages = languages
        self.detects_language = len(languages) == 1
        self._model = model

    def prepare(self, window: Audio) -> Audio:
        """Return the window as it is. Raises ValueError if it is too long."""
        check_window(window, self)
        return window

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        """Prepare and decode a batch. Raises what `decode` raises."""
        return self.decode([self.prepare(window) for window in windows], options)

    def decode(self, windows: Sequence[Audio], options: DecodeOptions) -> tuple[WindowText, ...]:
        """Decode a batch, one path each. Raises MemoryError, DevicePoisoned, InvalidOption."""
        check_writes(self.name, self.languages, options.language, options.task)
        size = 1 if self.device == "cpu" else LARGEST
        texts: list[WindowText] = []
        for first in range(0, len(windows), size):
            group = windows[first : first + size]
            heard = translating_onnx_errors(partial(self._hear, group))
            texts += [
                text_of(window, _window_text(result, window, options))
                for result, window in zip(heard, group, strict=True)
            ]
        return tuple(texts)

    def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
        """Return a warning that names the options without effect. Raises InvalidOption."""
        check_writes(self.name, self.languages, options.language, options.task)
        ignored = [
            field.name
            for field in fields(options)
            if field.name not in _FOLLOWED
            and getattr(options, field.name) != getattr(_USUAL, field.name)
        ]
        if options.temperatures[:1] not in ((), (0.0,)):
            ignored.append("temperature")
        if not ignored:
            return ()
        return (
            TranscriptWarning(
                "options_not_followed",
                f"Model {self.name!r} writes what it hears, word by word, and cannot follow "
                f"{', '.join(ignored)}; a Whisper can, for example large-v3-turbo.",
            ),
        )

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        """Return the model's language, if it has one only. Raises InvalidOption if it has more."""
        if not self.detects_language:
            raise InvalidOption(
                f"Model {self.name!r} writes several languages and does not say which one it "
                "hears: give the language."
            )
        (language,) = self.languages
        return tuple(DetectedLanguage(language, 1.0) for _ in windows)

    def hear_languages(self, snippets: Sequence[Audio]) -> tuple[Mapping[str, float], ...]:
        """Return the model's language, as `detect_languages`. Raises InvalidOption."""
        return tuple({it.language: 1.0} for it in self.detect_languages(snippets))

    def _hear(self, windows: Sequence[Audio]) -> list[Any]:
        sounds = [_filled(window) for window in windows]
        heard: list[Any] = self._model.recognize(sounds, sample_rate=SAMPLE_RATE)
        return heard


def _filled(window: Audio) -> Audio:
    """Return the window, with silence behind it if it is too short to be normalized."""
    missing = max(0, _SHORTEST_SAMPLES - len(window))
    return np.pad(window, (0, missing)).astype(np.float32, copy=False)


def _window_text(result: Any, window: Audio, options: DecodeOptions) -> WindowText:
    seconds = len(window) / SAMPLE_RATE
    pieces = zip(result.tokens or (), result.timestamps or (), result.logprobs or (), strict=True)
    tokens = [Token(text, float(start), float(logprob)) for text, start, logprob in pieces]
    text = result.text.strip()
    words = timed_words(text, tokens, seconds) if options.word_timestamps else ()
    return WindowText(
        text,
        fit_to_sound(words, window),
        avg_logprob=mean_logprob(tokens),
        no_speech_prob=0.0 if text else 1.0,
        compression_ratio=compression_ratio(text),
        temperature=0.0,
    )

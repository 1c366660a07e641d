"""faster-whisper (CTranslate2) as an engine.

It uses the model object's own parts (features, encoder, generate, alignment) and not its
pipelines. So a window is encoded once, for all attempts at its text and for its words, and only
the attempt that is taken is aligned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from gpu_worker.audio.samples import Audio
from gpu_worker.devices import used_device
from gpu_worker.devices.faults import translating_device_errors
from gpu_worker.errors import InvalidOption, UnknownModel
from gpu_worker.models.whisper import fetch_model, find_model, longest_window, vocabulary_size
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning, Word
from gpu_worker.transcription.engines import (
    DecodeOptions,
    DetectedLanguage,
    EngineRequest,
    WindowText,
)
from gpu_worker.transcription.engines.attempts import Attempt, decode_with_fallback
from gpu_worker.transcription.engines.encoding import encode, encodings_of
from gpu_worker.transcription.engines.features import PreparedWindow, log_mel
from gpu_worker.transcription.engines.generate import generation_options, read_attempt
from gpu_worker.transcription.engines.prompts import (
    Prompt,
    build_prompt,
    prompt_warnings,
    text_room,
)
from gpu_worker.transcription.engines.vocabulary import Vocabulary
from gpu_worker.transcription.engines.word_edges import fit_to_sound
from gpu_worker.transcription.engines.word_times import MODEL_OFFSETS, time_words, token_times
from gpu_worker.transcription.hearing import check_hearing


def load(request: EngineRequest) -> FasterWhisperEngine:
    """Load a model by name, and check that it hears.

    Raises UnknownModel, ModelUnavailable, InvalidOption, DeviceFault, MemoryError.
    """
    source = find_model(request.model, request.revision)
    directory = fetch_model(source, request.model_dir, request.hub_token)

    def build() -> WhisperModel:
        return WhisperModel(
            str(directory),
            device=request.device,
            compute_type=_compute_type(request),
            cpu_threads=request.threads,
        )

    try:
        model = translating_device_errors(build)
    except ValueError as error:  # a compute type that this device cannot do
        raise InvalidOption(f"Model {request.model!r} cannot be loaded: {error}.") from error
    except RuntimeError as error:
        raise UnknownModel(f"{request.model!r} is not a Whisper model: {error}.") from error
    sizes = longest_window(directory), vocabulary_size(directory)
    engine = FasterWhisperEngine(source.name, model, *sizes)
    check_hearing(engine)
    return engine


def _compute_type(request: EngineRequest) -> str:
    """Return the type; by default int8 on a CPU, where CTranslate2's own default is float32."""
    is_ours = request.compute_type == "default" and used_device(request.device) == "cpu"
    return "int8" if is_ours else request.compute_type


class FasterWhisperEngine:
    """One Whisper model in CTranslate2's form."""

    kind = "faster_whisper"

    def __init__(self, name: str, model: WhisperModel, longest: float, vocabulary: int) -> None:
        self.name = name
        self.device: str = model.model.device
        self.shares_cores = self.device == "cpu"
        self.max_window_seconds = longest
        self._model = model
        self._vocabulary = Vocabulary(
            name, model.hf_tokenizer, vocabulary, model.model.is_multilingual
        )
        self._offset = MODEL_OFFSETS.get(name, 0.0)
        self.languages = self._vocabulary.languages

    def prepare(self, window: Audio) -> PreparedWindow:
        """Compute the features of a window of at most 30 s."""
        return PreparedWindow(window, log_mel(self._model.feature_extractor, window))

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        """Prepare and decode a batch. Raises what `decode` raises."""
        return self.decode([self.prepare(window) for window in windows], options)

    def decode(
        self, windows: Sequence[PreparedWindow], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        """Decode a batch; decode windows that fail a threshold again, at the next temperature.

        Raises MemoryError, DevicePoisoned, InvalidOption.
        """
        tokenizer = self._tokenizer(options)
        prompt = build_prompt(tokenizer, options)
        room = text_room(prompt, self._model.max_length, options)
        encoded = self._encode(windows)

        def attempt(group: Sequence[int], temperature: float) -> list[Attempt]:
            some = encodings_of(encoded, group)
            return translating_device_errors(
                partial(self._generate, some, tokenizer, prompt, room, options, temperature)
            )

        taken = decode_with_fallback(len(windows), options, attempt)
        if not options.word_timestamps:
            return tuple(attempt.text for attempt in taken)
        words = translating_device_errors(partial(self._words, encoded, taken, windows, tokenizer))
        return tuple(
            replace(attempt.text, words=heard) for attempt, heard in zip(taken, words, strict=True)
        )

    def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
        """Return a warning if the prompt does not fit and is cut. Raises InvalidOption."""
        return prompt_warnings(build_prompt(self._tokenizer(options), options))

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        """Return the likeliest language of each window; of an English-only model it is `en`.

        Raises MemoryError, DevicePoisoned.
        """
        if not self._model.model.is_multilingual:
            return tuple(DetectedLanguage("en", 1.0) for _ in windows)
        encoded = self._encode([self.prepare(window) for window in windows])
        found: Any = translating_device_errors(partial(self._model.model.detect_language, encoded))
        return tuple(
            DetectedLanguage(token.strip("<|>"), float(probability))
            for [(token, probability), *_] in found
        )

    def _tokenizer(self, options: DecodeOptions) -> Tokenizer:
        return self._vocabulary.tokenizer(options)

    def _encode(self, windows: Sequence[PreparedWindow]) -> ctranslate2.StorageView:
        features = [window.features for window in windows]
        return translating_device_errors(partial(encode, self._model, features))

    def _generate(
        self,
        encoded: ctranslate2.StorageView,
        tokenizer: Tokenizer,
        prompt: Prompt,
        room: int,
        options: DecodeOptions,
        temperature: float,
    ) -> list[Attempt]:
        generated = self._model.model.generate(
            encoded,
            [list(prompt.tokens)] * encoded.shape[0],
            **generation_options(
                tokenizer, options, temperature, prompt=len(prompt.tokens), room=room
            ),
        )
        return [read_attempt(result, tokenizer, options, temperature, room) for result in generated]

    def _words(
        self,
        encoded: ctranslate2.StorageView,
        attempts: Sequence[Attempt],
        windows: Sequence[PreparedWindow],
        tokenizer: Tokenizer,
    ) -> list[tuple[Word, ...]]:
        """Time words by cross-attention and dynamic time warping (openai/whisper timing.py)."""
        seconds = [len(window.audio) / SAMPLE_RATE for window in windows]
        # On a CPU one by one, as they are encoded: in a batch a word's time may shift by a frame.
        size = 1 if self.device == "cpu" else max(1, len(windows))
        aligned = [
            one
            for first in range(0, len(windows), size)
            for one in self._model.model.align(
                encodings_of(encoded, range(first, first + size)),
                tokenizer.sot_sequence,
                [list(attempt.tokens) for attempt in attempts[first : first + size]],
                [
                    math.ceil(length) * self._model.frames_per_second
                    for length in seconds[first : first + size]
                ],
            )
        ]
        return [
            fit_to_sound(
                time_words(
                    tokenizer,
                    attempt.tokens,
                    attempt.text.text,
                    token_times(_path(result), result.text_token_probs, length, self._offset),
                    length,
                ),
                window.audio,
            )
            if result.alignments and attempt.tokens
            else ()
            for attempt, result, length, window in zip(
                attempts, aligned, seconds, windows, strict=True
            )
        ]


def _path(aligned: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    rows, frames = np.asarray(aligned.alignments).T
    return rows, frames

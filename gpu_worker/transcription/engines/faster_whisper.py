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
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer

from gpu_worker.audio.samples import Audio
from gpu_worker.devices import used_device
from gpu_worker.devices.faults import translating_device_errors
from gpu_worker.errors import InvalidOption, UnknownModel
from gpu_worker.models.capabilities import check_english_only
from gpu_worker.models.whisper import fetch_model, find_model, longest_window, vocabulary_size
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning, Word
from gpu_worker.transcription.engines import (
    DecodeOptions,
    DetectedLanguage,
    EngineRequest,
    WindowText,
)
from gpu_worker.transcription.engines.attempts import (
    Attempt,
    best,
    check_tokens,
    generation_options,
    groups,
    read_attempt,
)
from gpu_worker.transcription.engines.encoding import encode, encodings_of
from gpu_worker.transcription.engines.fallback import needs_fallback
from gpu_worker.transcription.engines.features import PreparedWindow, log_mel
from gpu_worker.transcription.engines.prompts import (
    PROMPT_TOKENS,
    Prompt,
    build_prompt,
    text_room,
)
from gpu_worker.transcription.engines.word_edges import fit_to_sound
from gpu_worker.transcription.engines.word_times import MODEL_OFFSETS, TokenTimes, time_words
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

    def __init__(self, name: str, model: WhisperModel, longest: float, vocabulary: int) -> None:
        self.name = name
        self.device: str = model.model.device
        self.max_window_seconds = longest
        self._model = model
        self._vocabulary = vocabulary
        self._offset = MODEL_OFFSETS.get(name, 0.0)
        self.languages = frozenset(
            code
            for code in _LANGUAGE_CODES
            if model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None
        )

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
        attempts: list[list[Attempt]] = [[] for _ in windows]
        pending = list(range(len(windows)))
        for temperature in options.temperatures:
            for group in groups(pending, options, temperature):
                generate = partial(
                    self._generate, encodings_of(encoded, group), tokenizer, prompt, room, options
                )
                results = translating_device_errors(partial(generate, temperature))
                for index, result in zip(group, results, strict=True):
                    attempts[index].append(result)
            pending = [
                index for index in pending if needs_fallback(attempts[index][-1].text, options)
            ]
            if not pending:
                break
        taken = [best(tried, options) for tried in attempts]
        if not options.word_timestamps:
            return tuple(attempt.text for attempt in taken)
        words = translating_device_errors(partial(self._words, encoded, taken, windows, tokenizer))
        return tuple(
            replace(attempt.text, words=heard) for attempt, heard in zip(taken, words, strict=True)
        )

    def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
        """Return a warning if the prompt does not fit and is cut. Raises InvalidOption."""
        if not build_prompt(self._tokenizer(options), options).is_cut:
            return ()
        return (
            TranscriptWarning(
                "prompt_cut",
                f"initial_prompt and hotwords together are longer than {PROMPT_TOKENS} tokens; "
                "the end of the hot words or the beginning of the prompt was left out.",
            ),
        )

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
        check_tokens(options, self._vocabulary)
        multilingual = self._model.model.is_multilingual
        language = options.language or "en"
        if not multilingual:
            check_english_only(self.name, options.language, options.task)
        if multilingual and language not in self.languages:
            known = ", ".join(sorted(self.languages))
            raise InvalidOption(f"Model {self.name!r} has no language {language!r}, only {known}.")
        return Tokenizer(
            self._model.hf_tokenizer, multilingual, task=options.task, language=language
        )

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
        aligned = self._model.model.align(
            encoded,
            tokenizer.sot_sequence,
            [list(attempt.tokens) for attempt in attempts],
            [math.ceil(length) * self._model.frames_per_second for length in seconds],
        )
        return [
            fit_to_sound(
                time_words(
                    tokenizer,
                    attempt.tokens,
                    attempt.text.text,
                    self._token_times(result, length),
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

    def _token_times(self, aligned: Any, seconds: float) -> TokenTimes:
        """Return the seconds at which each token begins; the last edge is the end of the text."""
        rows, frames = np.asarray(aligned.alignments).T
        begins = np.diff(rows, prepend=-1) > 0
        edges = frames[begins] / self._model.tokens_per_second + self._offset
        return TokenTimes(np.clip(edges, 0.0, seconds).tolist(), aligned.text_token_probs)

"""faster-whisper (CTranslate2) as an engine.

It uses the model object's own parts (features, encoder, generate, alignment) and not its
pipelines. So a window is encoded once, for all attempts at its text and for its words, and only
the attempt that is taken is aligned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ctranslate2
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from gpu_worker.audio.samples import Audio
from gpu_worker.devices import used_device
from gpu_worker.devices.faults import translating_device_errors
from gpu_worker.errors import UnknownModel
from gpu_worker.models.faults import TypeUnsupported
from gpu_worker.models.whisper import fetch_model, find_model, longest_window, vocabulary_size
from gpu_worker.transcript import TranscriptWarning
from gpu_worker.transcription.engines import (
    DecodeOptions,
    DetectedLanguage,
    EngineRequest,
    WindowText,
    check_window,
    text_of,
)
from gpu_worker.transcription.engines.attempts import Attempt, decode_with_fallback
from gpu_worker.transcription.engines.cross_attention import CrossAttention
from gpu_worker.transcription.engines.encoding import encode, encodings_of
from gpu_worker.transcription.engines.features import (
    PreparedWindow,
    log_mel,
    without_silence,
)
from gpu_worker.transcription.engines.generate import generation_options, read_attempt
from gpu_worker.transcription.engines.prompts import (
    Prompt,
    build_prompt,
    prompt_warnings,
    text_room,
)
from gpu_worker.transcription.engines.vocabulary import Vocabulary
from gpu_worker.transcription.engines.word_times import MODEL_OFFSETS
from gpu_worker.transcription.hearing import check_hearing


def load(request: EngineRequest) -> FasterWhisperEngine:
    """Load a model by name, and check that it hears.

    Raises UnknownModel, ModelUnavailable, TypeUnsupported, DeviceFault, MemoryError.
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
        raise TypeUnsupported(f"Model {request.model!r} cannot be loaded: {error}.") from error
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
        self._attention = CrossAttention(model, MODEL_OFFSETS.get(name, 0.0))
        self.languages = self._vocabulary.languages
        self.detects_language = True

    def prepare(self, window: Audio) -> PreparedWindow:
        """Compute the features of a window. Raises ValueError if it is too long."""
        check_window(window, self)
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
        texts = [attempt.text for attempt in taken]
        if options.word_timestamps:
            audios = [window.audio for window in windows]
            times = partial(self._attention.words, encoded, taken, audios, tokenizer)
            words = translating_device_errors(times)
            pairs = zip(texts, words, strict=True)
            texts = [replace(text, words=heard) for text, heard in pairs]
        return tuple(map(text_of, (window.audio for window in windows), texts))

    def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
        """Return a warning if the prompt does not fit and is cut. Raises InvalidOption."""
        return prompt_warnings(build_prompt(self._tokenizer(options), options))

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        """Return the likeliest language of each window; of an English-only model it is `en`.

        Raises MemoryError, DevicePoisoned.
        """
        if not self._model.model.is_multilingual:
            return tuple(DetectedLanguage("en", 1.0) for _ in windows)
        ranked = self._languages([self.prepare(window) for window in windows])
        return tuple(DetectedLanguage(*next(iter(found.items()))) for found in ranked)

    def hear_languages(self, snippets: Sequence[Audio]) -> tuple[Mapping[str, float], ...]:
        """Return how likely each language is in each snippet, the likeliest first.

        Raises MemoryError, DevicePoisoned.
        """
        if not self._model.model.is_multilingual:
            return tuple({"en": 1.0} for _ in snippets)
        prepared = [self.prepare(snippet) for snippet in snippets]
        if self.device != "cpu":
            return self._languages(prepared)
        # On a CPU each is encoded alone, so that it need not be as long as the others.
        return tuple(found for one in prepared for found in self._languages([without_silence(one)]))

    def _languages(self, windows: Sequence[PreparedWindow]) -> tuple[dict[str, float], ...]:
        encoded = self._encode(windows)
        found: Any = translating_device_errors(partial(self._model.model.detect_language, encoded))
        return tuple(
            {token.strip("<|>"): float(probability) for token, probability in ranked}
            for ranked in found
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

"""faster-whisper (CTranslate2) as an engine.

Uses the model object's own parts (features, encoder, generate, alignment) rather
than its pipelines, so that a batch is encoded once for text, words and fallback.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens, merge_punctuations

from gpu_worker.device_faults import guarded
from gpu_worker.engines import Audio, DecodeOptions, DetectedLanguage, EngineRequest, WindowText
from gpu_worker.errors import InvalidOption, UnknownModel
from gpu_worker.fallback import best_attempt, compression_ratio, needs_fallback
from gpu_worker.models import fetch_model, find_model, longest_window
from gpu_worker.transcript import SAMPLE_RATE, Word

# openai/whisper's sets of marks that belong to the word after or before them
OPENING_MARKS = "\"'“¿([{-"
CLOSING_MARKS = "\"'.。,，!！?？:：”)]}、"


def load(request: EngineRequest) -> FasterWhisperEngine:
    """Load a model by name. Raises UnknownModel, ModelUnavailable, InvalidOption, MemoryError."""
    source = find_model(request.model, request.revision)
    directory = fetch_model(source, request.model_dir, request.hub_token)

    def build() -> WhisperModel:
        return WhisperModel(
            str(directory),
            device=request.device,
            compute_type=request.compute_type,
            cpu_threads=request.threads,
        )

    try:
        model = guarded(build)
    except ValueError as error:  # a compute type that this device cannot do
        raise InvalidOption(f"Model {request.model!r} cannot be loaded: {error}.") from error
    except RuntimeError as error:
        raise UnknownModel(f"{request.model!r} is not a Whisper model: {error}.") from error
    return FasterWhisperEngine(source.name, model, longest_window(directory))


class FasterWhisperEngine:
    """One Whisper model in CTranslate2's form."""

    def __init__(self, name: str, model: WhisperModel, max_window_seconds: float) -> None:
        self.name = name
        self.device: str = model.model.device
        self.max_window_seconds = max_window_seconds
        self._model = model
        self.languages = frozenset(
            code
            for code in _LANGUAGE_CODES
            if model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None
        )

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        """Decode a batch; windows that are not believed are decoded again, hotter.

        Raises MemoryError, DevicePoisoned, InvalidOption.
        """
        tokenizer = self._tokenizer(options)
        features = self._features(windows)
        attempts: list[list[WindowText]] = [[] for _ in windows]
        pending = list(range(len(windows)))
        for temperature in options.temperatures:
            lengths = [len(windows[index]) for index in pending]
            results = guarded(
                partial(self._decode, features[pending], lengths, tokenizer, options, temperature)
            )
            for index, result in zip(pending, results, strict=True):
                attempts[index].append(result)
            pending = [index for index in pending if needs_fallback(attempts[index][-1], options)]
            if not pending:
                break
        return tuple(best_attempt(tried, options) for tried in attempts)

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        """The likeliest language of each window. An English-only model says `en`."""
        if not self._model.model.is_multilingual:
            return tuple(DetectedLanguage("en", 1.0) for _ in windows)
        features = self._features(windows)
        found: Any = guarded(
            lambda: self._model.model.detect_language(self._model.encode(features))
        )
        return tuple(
            DetectedLanguage(token.strip("<|>"), float(probability))
            for [(token, probability), *_] in found
        )

    def _tokenizer(self, options: DecodeOptions) -> Tokenizer:
        multilingual = self._model.model.is_multilingual
        language = options.language or "en"
        if multilingual and language not in self.languages:
            known = ", ".join(sorted(self.languages))
            raise InvalidOption(f"Model {self.name!r} has no language {language!r}, only {known}.")
        return Tokenizer(
            self._model.hf_tokenizer, multilingual, task=options.task, language=language
        )

    def _features(self, windows: Sequence[Audio]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Log-mel features, shape (windows, mels, 3000)."""
        extract = self._model.feature_extractor
        return np.stack([pad_or_trim(extract(window)[..., :-1]) for window in windows])

    def _decode(
        self,
        features: np.ndarray[Any, np.dtype[np.float32]],
        lengths: list[int],
        tokenizer: Tokenizer,
        options: DecodeOptions,
        temperature: float,
    ) -> list[WindowText]:
        encoded = self._model.encode(features)
        prompt = self._model.get_prompt(
            tokenizer,
            tokenizer.encode(" " + options.initial_prompt.strip())
            if options.initial_prompt
            else [],
            without_timestamps=True,
            hotwords=options.hotwords,
        )
        generated = self._model.model.generate(
            encoded,
            [prompt] * len(lengths),
            max_length=self._max_length(prompt, options),
            length_penalty=options.length_penalty,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, list(options.suppress_tokens))
            if options.suppress_tokens
            else [],
            return_scores=True,
            return_no_speech_prob=True,
            **_sampling(options, temperature),
        )
        tokens = [result.sequences_ids[0] for result in generated]
        words = (
            self._words(encoded, tokens, lengths, tokenizer)
            if options.word_timestamps
            else [()] * len(lengths)
        )
        return [
            self._window_text(result, tokenizer, heard, options, temperature)
            for result, heard in zip(generated, words, strict=True)
        ]

    def _max_length(self, prompt: list[int], options: DecodeOptions) -> int:
        limit: int = self._model.max_length
        if options.max_new_tokens is None:
            return limit
        if len(prompt) + options.max_new_tokens > limit:
            raise InvalidOption(
                f"A prompt of {len(prompt)} tokens and max_new_tokens={options.max_new_tokens} "
                f"exceed the model's {limit} tokens."
            )
        return len(prompt) + options.max_new_tokens

    def _window_text(
        self,
        result: Any,
        tokenizer: Tokenizer,
        words: tuple[Word, ...],
        options: DecodeOptions,
        temperature: float,
    ) -> WindowText:
        tokens = result.sequences_ids[0]
        text = tokenizer.decode([token for token in tokens if token < tokenizer.eot]).strip()
        total = result.scores[0] * len(tokens) ** options.length_penalty
        return WindowText(
            text=text,
            words=words,
            avg_logprob=total / (len(tokens) + 1),
            no_speech_prob=result.no_speech_prob,
            compression_ratio=compression_ratio(text),
            temperature=temperature,
        )

    def _words(
        self, encoded: Any, tokens: list[list[int]], lengths: list[int], tokenizer: Tokenizer
    ) -> list[tuple[Word, ...]]:
        """Word times by cross-attention and dynamic time warping (faster-whisper's)."""
        frames = [-(-length // SAMPLE_RATE) * self._model.frames_per_second for length in lengths]
        text_tokens = [[token for token in row if token < tokenizer.eot] for row in tokens]
        alignments = self._model.find_alignment(tokenizer, text_tokens, encoded, frames)
        return [
            _timed(alignment, length / SAMPLE_RATE)
            for alignment, length in zip(alignments, lengths, strict=True)
        ]


def _timed(alignment: list[dict[str, Any]], seconds: float) -> tuple[Word, ...]:
    merge_punctuations(alignment, OPENING_MARKS, CLOSING_MARKS)
    return tuple(
        Word(
            item["word"].strip(),
            min(float(item["start"]), seconds),
            min(float(item["end"]), seconds),
            float(item["probability"]),
        )
        for item in alignment
        if item["word"].strip()
    )


def _sampling(options: DecodeOptions, temperature: float) -> dict[str, Any]:
    if temperature == 0.0:
        return {"beam_size": options.beam_size, "patience": options.patience}
    return {
        "beam_size": 1,
        "num_hypotheses": options.best_of,
        "sampling_topk": 0,
        "sampling_temperature": temperature,
    }

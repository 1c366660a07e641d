"""The engine: windows of sound in, texts with timed words out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import tokenizers
import torch
from faster_whisper.tokenizer import Tokenizer
from torch import Tensor

from gpu_worker.audio.samples import Audio
from gpu_worker.devices.torch_devices import translating_torch_errors
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning
from gpu_worker.transcription.engines import (
    DecodeOptions,
    DetectedLanguage,
    WindowText,
    check_window,
    text_of,
)
from gpu_worker.transcription.engines.attempts import decode_with_fallback
from gpu_worker.transcription.engines.prompts import (
    build_prompt,
    prompt_warnings,
    text_room,
)
from gpu_worker.transcription.engines.torch_whisper.attempt import (
    Order,
    TimedAttempt,
    attempt_at,
)
from gpu_worker.transcription.engines.torch_whisper.mel import LogMel
from gpu_worker.transcription.engines.torch_whisper.network import Network
from gpu_worker.transcription.engines.torch_whisper.options import check_options
from gpu_worker.transcription.engines.torch_whisper.rules import no_rules
from gpu_worker.transcription.engines.torch_whisper.writing import CPU, GPU, Assignment, Writer
from gpu_worker.transcription.engines.vocabulary import Vocabulary
from gpu_worker.transcription.engines.word_edges import fit_to_sound
from gpu_worker.transcription.engines.word_times import MODEL_OFFSETS, time_words

Result = TypeVar("Result")
_ENGLISH_ONLY = 51_864  # tokens of the models that end with .en (openai/whisper tokenizer.py)


class TorchEngine:
    """One Whisper model in PyTorch."""

    kind = "torch"

    def __init__(
        self, name: str, network: Network, tokens: tokenizers.Tokenizer, longest: float
    ) -> None:
        self.name = name
        self.device = network.device
        self.shares_cores = self.device == "cpu"
        self.max_window_seconds = longest
        self._network = network
        self._vocabulary = Vocabulary(
            name, tokens, network.vocabulary, network.vocabulary != _ENGLISH_ONLY
        )
        self.languages = self._vocabulary.languages
        self.detects_language = True
        self._mel = LogMel(network.mels, network.device)
        self._offset = MODEL_OFFSETS.get(name, 0.0)
        end = tokens.token_to_id("<|endoftext|>")
        self._writer = Writer(
            network.decoder,
            network.audio_positions,
            network.alignment_heads,
            end,
            CPU if network.device == "cpu" else GPU,
        )
        self._lock = threading.Lock()  # the writer has one page

    def prepare(self, window: Audio) -> Audio:
        """Return the window as it is: features are computed on the device, of a whole batch.

        Raises ValueError if it is too long.
        """
        check_window(window, self)
        return window

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        """Prepare and decode a batch. Raises what `decode` raises."""
        return self.decode([self.prepare(window) for window in windows], options)

    def decode(self, windows: Sequence[Audio], options: DecodeOptions) -> tuple[WindowText, ...]:
        """Decode a batch; decode windows that fail a threshold again, at the next temperature.

        Raises MemoryError, DevicePoisoned, InvalidOption.
        """
        check_options(options)
        order = self._order(options)
        with torch.inference_mode():
            encoded = self._encoded(windows)

            def attempt(group: Sequence[int], temperature: float) -> list[TimedAttempt]:
                is_all = len(group) == len(windows)
                sounds = encoded if is_all else encoded[list(group)]
                some = sounds, [windows[index] for index in group]
                with self._lock:
                    return self._freeing(partial(self._attempt, *some, order, temperature))

            taken = decode_with_fallback(len(windows), options, attempt)
        return tuple(
            text_of(window, _with_words(attempt, window, order.tokenizer))
            for attempt, window in zip(taken, windows, strict=True)
        )

    def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
        """Return a warning if the prompt does not fit and is cut. Raises InvalidOption."""
        check_options(options)
        return prompt_warnings(build_prompt(self._vocabulary.tokenizer(options), options))

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        """Return the likeliest language of each window; of an English-only model it is `en`.

        Raises MemoryError, DevicePoisoned.
        """
        if not self._vocabulary.is_multilingual:
            return tuple(DetectedLanguage("en", 1.0) for _ in windows)
        return tuple(
            DetectedLanguage(*max(found.items(), key=lambda item: item[1]))
            for found in self.hear_languages(windows)
        )

    def hear_languages(self, snippets: Sequence[Audio]) -> tuple[Mapping[str, float], ...]:
        """Return how likely each language is in each. Raises MemoryError, DevicePoisoned."""
        if not self._vocabulary.is_multilingual:
            return tuple({"en": 1.0} for _ in snippets)
        codes = sorted(self.languages)
        tokens = [self._vocabulary.language_token(code) for code in codes]
        with torch.inference_mode(), self._lock:
            scores = self._freeing(partial(self._first_scores, snippets))
            chances = scores[:, tokens].softmax(dim=-1).tolist()
            return tuple(dict(zip(codes, found, strict=True)) for found in chances)

    def _encoded(self, windows: Sequence[Audio]) -> Tensor:
        """Encode windows, beside another thread's attempt; if memory is short, free the page."""
        try:
            return translating_torch_errors(partial(self._encode, windows))
        except MemoryError:
            with self._lock:
                self._writer.release()
            raise

    def _encode(self, windows: Sequence[Audio]) -> Tensor:
        return self._network.encode(self._mel(windows))

    def _sounds(self, encoded: Tensor) -> Sequence[Tensor]:
        """Part a batch as it is heard: on a CPU window by window, as it is encoded."""
        size = 1 if self.device == "cpu" else len(encoded)
        return [encoded[first : first + size] for first in range(0, len(encoded), size)]

    def _first_scores(self, windows: Sequence[Audio]) -> Tensor:
        """Return the scores of all tokens to be the first one, (windows, vocabulary)."""
        start = self._vocabulary.tokens.token_to_id("<|startoftranscript|>")
        page = self._writer.begin(self._sounds(self._encode(windows)))
        rules = no_rules(self._network.vocabulary, self.device)
        assignment = Assignment([start], 0, rules, 0.0, [0] * len(windows))
        return self._network.decoder.scores(self._writer.write(page, assignment)[:, 0])

    def _freeing(self, call: Callable[[], Result]) -> Result:
        """Run the call, then free what the next batch does not use.

        If memory does not suffice, that is all of it, as the next batch is smaller.
        """
        try:
            return translating_torch_errors(call)
        except MemoryError:
            self._writer.release()
            raise
        finally:
            self._writer.rest()

    def _order(self, options: DecodeOptions) -> Order:
        tokenizer = self._vocabulary.tokenizer(options)
        prompt = build_prompt(tokenizer, options)
        room = text_room(prompt, self._network.text_positions, options)
        return Order(options, tokenizer, prompt, room)

    def _attempt(
        self, encoded: Tensor, windows: Sequence[Audio], order: Order, temperature: float
    ) -> list[TimedAttempt]:
        sounds = self._sounds(encoded)
        return attempt_at(
            self._network, self._writer, sounds, windows, order, temperature, self._offset
        )


def _with_words(attempt: TimedAttempt, window: Audio, tokenizer: Tokenizer) -> WindowText:
    if attempt.times is None:
        return attempt.text
    seconds = len(window) / SAMPLE_RATE
    words = time_words(tokenizer, attempt.tokens, attempt.text.text, attempt.times, seconds)
    return replace(attempt.text, words=fit_to_sound(words, window))

"""whisperX as an aligner: its own loading and alignment, window by window; the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from whisperx import alignment

from gpu_worker.alignment import AlignerRequest, SpokenWindow
from gpu_worker.alignment.bundles import fetch_bundle
from gpu_worker.alignment.characters import LANGUAGES_WITHOUT_SPACES, plain_characters
from gpu_worker.alignment.interpolation import WordTime, complete_words
from gpu_worker.alignment.models import fetch_align_model, is_bundle
from gpu_worker.audio.samples import Audio
from gpu_worker.devices.torch_devices import pick_device, translating_torch_errors
from gpu_worker.errors import UnknownModel
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word


class _OneSentence:
    """Replaces NLTK's sentence splitter, which needs files that whisperX would download.

    It takes each text for one sentence: lines are cut later and by other rules; and a sentence
    that ends inside a word would give two words for one.
    """

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


alignment.nltk_load = lambda path: _OneSentence()


class WhisperxAligner:
    """One align model of whisperX, for one language."""

    name = "whisperx"

    def __init__(self, model: Any, metadata: dict[str, Any], device: str) -> None:
        self.device = device
        self._model = model
        self._metadata = metadata
        self._spaced = metadata["language"] not in LANGUAGES_WITHOUT_SPACES

    def hear(self, windows: Sequence[SpokenWindow]) -> list[list[WordTime | None]]:
        """Return the times that whisperX finds. Raises MemoryError, DevicePoisoned."""
        return [self._times(window) for window in windows]

    def time(
        self, windows: Sequence[SpokenWindow], heard: Sequence[Sequence[WordTime | None]]
    ) -> tuple[tuple[Word, ...], ...]:
        """Time every word, as `Aligner.time`."""
        return tuple(
            complete_words(window.words, timed, len(window.audio) / SAMPLE_RATE)
            for window, timed in zip(windows, heard, strict=True)
        )

    def _times(self, window: SpokenWindow) -> list[WordTime | None]:
        plain = [plain_characters(word) for word in window.words]
        text = (" " if self._spaced else "").join(filter(None, plain))
        line = {"start": 0.0, "end": len(window.audio) / SAMPLE_RATE, "text": text}
        found = self._align(line, window.audio) if text else []
        if not found:  # whisperX gave up
            return [None] * len(plain)
        parts = iter(found)
        return [
            _joined([next(parts) for _ in range(self._parts(word))], self._is_guess(word))
            for word in plain
        ]

    def _is_guess(self, word: str) -> bool:
        return not any(char in self._metadata["dictionary"] for char in word)

    def _align(self, line: dict[str, Any], audio: Audio) -> list[dict[str, Any]]:
        samples = torch.tensor(audio)  # a copy: torch warns about arrays that are read-only
        aligned = translating_torch_errors(
            lambda: alignment.align([line], self._model, self._metadata, samples, self.device)
        )
        words: list[dict[str, Any]] = aligned["word_segments"]
        return words

    def _parts(self, word: str) -> int:
        """Return how many of whisperX's words make this word: without spaces, one a character."""
        return len(word) if not self._spaced else bool(word)


def _joined(parts: Sequence[dict[str, Any]], is_guess: bool) -> WordTime | None:
    """Join whisperX's parts of one word; return None if whisperX timed none of them.

    A part that it only interpolates has no score.
    """
    timed = [part for part in parts if "score" in part]
    if not timed:
        return None
    return WordTime(
        float(timed[0]["start"]),
        float(timed[-1]["end"]),
        float(sum(part["score"] for part in timed) / len(timed)),
        is_guess,
    )


def load(request: AlignerRequest) -> WhisperxAligner:
    """Load an aligner. Raises UnknownModel, ModelUnavailable, InvalidOption, MemoryError."""
    device = pick_device(request.device)
    if request.threads > 0:
        torch.set_num_threads(request.threads)
    name, directory = request.model, request.model_dir
    # Found and fetched here, not by whisperX, so that the token is used and errors have a code.
    if is_bundle(name):
        directory = fetch_bundle(name, directory)
    else:
        name = str(fetch_align_model(name, directory, request.hub_token))
    try:
        model, metadata = translating_torch_errors(
            lambda: alignment.load_align_model(request.language, device, name, model_dir=directory)
        )
    except ValueError as error:
        raise UnknownModel(f"whisperX cannot align with {request.model!r}: {error}.") from error
    return WhisperxAligner(model, metadata, device)

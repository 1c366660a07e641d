"""An engine that needs no model: its words are a digest of the audio.

The same samples always give the same words, so a lost, doubled or shifted window
shows in the text. `fake` answers at once; `fake-50x` takes a second for fifty
seconds of audio. For tests of the cluster and for trying a deployment out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.errors import UnknownModel
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning, Word
from gpu_worker.transcription.engines import (
    NOTHING_SAID,
    DecodeOptions,
    DetectedLanguage,
    EngineRequest,
    WindowText,
    check_window,
)
from gpu_worker.transcription.engines.fallback import compression_ratio

VOCABULARY = tuple(
    consonant + vowel + ending
    for consonant in ("b", "d", "f", "g", "k", "l", "m", "n")
    for vowel in "aeio"
    for ending in ("l", "n")
)
SECONDS_PER_WORD = 0.5


class FakeEngine:
    """Makes deterministic words at a chosen speed.

    With `largest_batch` it fails for larger batches, as a GPU would.
    """

    kind = "fake"
    device = "cpu"
    shares_cores = False  # it sleeps
    max_window_seconds = 30.0
    languages = frozenset({"en", "es", "de", "fr"})
    detects_language = True

    def __init__(
        self, name: str = "fake", speed: float | None = None, largest_batch: int | None = None
    ) -> None:
        self.name = name
        self.speed = speed  # seconds of audio a second; None: as fast as it goes
        self._largest_batch = largest_batch

    def prepare(self, window: Audio) -> Audio:
        """Return the window as it is. Raises ValueError if it is too long."""
        check_window(window, self)
        return window

    def decode(self, windows: Sequence[Audio], options: DecodeOptions) -> tuple[WindowText, ...]:
        """Decode as `transcribe`."""
        return self.transcribe(windows, options)

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        """Make one word for each half second. Raises MemoryError above the largest batch."""
        if self._largest_batch is not None and len(windows) > self._largest_batch:
            raise MemoryError(f"a batch of {len(windows)} windows")
        if self.speed:
            time.sleep(sum(map(len, windows)) / SAMPLE_RATE / self.speed)
        return tuple(
            self._hear(self.prepare(window), options.word_timestamps) for window in windows
        )

    def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
        """Return no warnings: options have no effect."""
        return ()

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        """Return English with probability 1 for each window."""
        return tuple(DetectedLanguage("en", 1.0) for _ in windows)

    def hear_languages(self, snippets: Sequence[Audio]) -> tuple[Mapping[str, float], ...]:
        """Return English with probability 1 for each snippet."""
        return tuple({"en": 1.0} for _ in snippets)

    def _hear(self, window: Audio, with_words: bool) -> WindowText:
        if not window.any():  # silence, or no sample at all
            return NOTHING_SAID
        seconds = len(window) / SAMPLE_RATE
        count = max(1, int(seconds / SECONDS_PER_WORD))
        samples = (window * 32767).astype("<i2").tobytes()
        picks = np.random.default_rng(
            int.from_bytes(blake2b(samples, digest_size=8).digest())
        ).integers(len(VOCABULARY), size=count)
        words = tuple(
            Word(
                VOCABULARY[pick],
                round(index * seconds / count, 3),
                min(round((index + 1) * seconds / count, 3), seconds),
                1.0,
            )
            for index, pick in enumerate(picks)
        )
        text = " ".join(word.word for word in words)
        shown = words if with_words else ()
        return WindowText(text, shown, -0.1, 0.0, compression_ratio(text), 0.0)


def load(request: EngineRequest) -> FakeEngine:
    """Make `fake`, or `fake-<N>x` for N seconds of audio a second. Raises UnknownModel."""
    match = re.fullmatch(r"fake(?:-(\d+)x)?", request.model)
    if match is None:
        raise UnknownModel(f"There is no model named {request.model!r}.")
    return FakeEngine(request.model, float(match[1]) if match[1] else None)

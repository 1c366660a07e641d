"""CTC alignment: whisperX's models and recurrence, a batch of windows at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpu_worker.alignment import AlignerRequest, SpokenWindow
from gpu_worker.alignment.characters import WILDCARD, Spelling, read_alphabet, spell_words
from gpu_worker.alignment.emissions import EmissionModel, load_emission_model
from gpu_worker.alignment.interpolation import WordTime, complete_words
from gpu_worker.alignment.trellis import SymbolPath, align_symbols
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word

Emission = NDArray[np.float32]  # log probabilities, shape (frames, columns)
_NOTHING: Emission = np.zeros((0, 0), dtype=np.float32)


class CtcAligner:
    """An align model in memory, with the alphabet of one language."""

    name = "ctc"

    def __init__(self, model: EmissionModel, language: str) -> None:
        self.device = model.device
        self._model = model
        self._alphabet = read_alphabet(model.vocabulary, language)

    def hear(self, windows: Sequence[SpokenWindow]) -> list[Emission]:
        """Return emissions, as `Aligner.hear`; a window without sound or words has none.

        Raises MemoryError, DevicePoisoned.
        """
        heard: list[Emission] = [_NOTHING] * len(windows)
        spoken = [index for index, window in enumerate(windows) if self._has_symbols(window)]
        found = self._model.emissions([windows[index].audio for index in spoken])
        for index, emission in zip(spoken, found, strict=True):
            heard[index] = emission
        return heard

    def time(
        self, windows: Sequence[SpokenWindow], heard: Sequence[Emission]
    ) -> tuple[tuple[Word, ...], ...]:
        """Time every word, as `Aligner.time`."""
        spellings = [spell_words(window.words, self._alphabet) for window in windows]
        symbols = [spelling.symbols for spelling in spellings]
        found = align_symbols(heard, symbols, self._alphabet.blank)
        times: list[list[WordTime | None]] = [[None] * len(window.words) for window in windows]
        for index, path in enumerate(found):
            if path is not None:
                seconds = len(windows[index].audio) / SAMPLE_RATE
                times[index] = word_times(spellings[index], path, seconds / len(heard[index]))
        return tuple(
            complete_words(window.words, timed, len(window.audio) / SAMPLE_RATE)
            for window, timed in zip(windows, times, strict=True)
        )

    def _has_symbols(self, window: SpokenWindow) -> bool:
        return bool(len(window.audio) and len(spell_words(window.words, self._alphabet).symbols))


def word_times(
    spelling: Spelling, path: SymbolPath, seconds_per_frame: float
) -> list[WordTime | None]:
    """Return each word's time, from its first symbol's start to its last one's end.

    In seconds from the window's start; None for a word without symbols.
    """
    return [
        WordTime(
            float(path.starts[word.start] * seconds_per_frame),
            float(path.ends[word.stop - 1] * seconds_per_frame),
            float(np.mean(path.scores[word])),
            is_guess=bool(np.all(spelling.symbols[word] == WILDCARD)),
        )
        if word.start < word.stop
        else None
        for word in spelling.words
    ]


def load(request: AlignerRequest) -> CtcAligner:
    """Load an aligner. Raises UnknownModel, ModelUnavailable, InvalidOption, MemoryError."""
    return CtcAligner(load_emission_model(request), request.language)

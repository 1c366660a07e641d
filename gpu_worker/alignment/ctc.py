"""CTC alignment: whisperX's models and recurrence, a batch of windows at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpu_worker.alignment import AlignerRequest, SpokenWindow
from gpu_worker.alignment.characters import WILDCARD, Spelling, read_alphabet, spell_words
from gpu_worker.alignment.emissions import EmissionModel, load_emission_model
from gpu_worker.alignment.interpolation import WordTime, complete_words
from gpu_worker.alignment.trellis import SymbolPath, align_symbols
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word


class CtcAligner:
    """An align model in memory, with the alphabet of one language."""

    name = "ctc"

    def __init__(self, model: EmissionModel, language: str) -> None:
        self.device = model.device
        self._model = model
        self._alphabet = read_alphabet(model.vocabulary, language)

    def align(self, windows: Sequence[SpokenWindow]) -> tuple[tuple[Word, ...], ...]:
        """Time every word, as `Aligner.align`. Raises MemoryError, DevicePoisoned."""
        spellings = [spell_words(window.words, self._alphabet) for window in windows]
        heard = [
            index
            for index, (window, spelling) in enumerate(zip(windows, spellings, strict=True))
            if len(window.audio) and len(spelling.symbols)
        ]
        emissions = self._model.emissions([windows[index].audio for index in heard])
        found = align_symbols(
            emissions, [spellings[index].symbols for index in heard], self._alphabet.blank
        )
        times: list[list[WordTime | None]] = [[None] * len(window.words) for window in windows]
        for index, emission, path in zip(heard, emissions, found, strict=True):
            if path is not None:
                seconds = len(windows[index].audio) / SAMPLE_RATE
                times[index] = word_times(spellings[index], path, seconds / len(emission))
        return tuple(
            complete_words(window.words, timed, len(window.audio) / SAMPLE_RATE)
            for window, timed in zip(windows, times, strict=True)
        )


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

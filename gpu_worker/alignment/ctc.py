"""CTC alignment: whisperX's models and recurrence, a batch of windows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_worker.alignment import AlignerRequest, SpokenWindow
from gpu_worker.alignment.characters import WILDCARD, Spelling, read_alphabet, spell_words
from gpu_worker.alignment.emissions import EmissionModel, load_emission_model
from gpu_worker.alignment.interpolation import WordTime, complete_words
from gpu_worker.alignment.trellis import Indices, SymbolPath, align_symbols, torch_library
from gpu_worker.audio.samples import Audio
from gpu_worker.devices.torch_devices import translating_torch_errors
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word

Emission = NDArray[np.float32]  # log probabilities, shape (frames, columns)
_NOTHING: Emission = np.zeros((0, 0), dtype=np.float32)
# On a GPU a path's search is thousands of small launches, for any number of windows: as long
# as numpy takes for about twenty windows, by arithmetic (docs/speed.md).
LEAST_ON_GPU = 32


@dataclass(frozen=True, slots=True)
class FoundPath:
    """What is left of a window whose path was searched on the device."""

    path: SymbolPath | None
    frames: int

    def __len__(self) -> int:
        return self.frames


Heard = Emission | FoundPath


class CtcAligner:
    """An align model in memory, with the alphabet of one language."""

    name = "ctc"

    def __init__(
        self, model: EmissionModel, language: str, least_on_device: int | None = None
    ) -> None:
        """Search paths on the model's device in batches of at least so many windows; None: never.

        Else emissions are copied to the host, and numpy searches them there.
        """
        self.device = model.device
        self._model = model
        self._least_on_device = least_on_device
        self._alphabet = read_alphabet(model.vocabulary, language)

    def hear(self, windows: Sequence[SpokenWindow]) -> list[Heard]:
        """Return emissions, or paths, as `Aligner.hear`.

        A window without sound or words has empty emissions. Raises MemoryError, DevicePoisoned.
        """
        heard: list[Heard] = [_NOTHING] * len(windows)
        spoken = [index for index, window in enumerate(windows) if self._has_symbols(window)]
        audio = [windows[index].audio for index in spoken]
        found: Sequence[Heard]
        if self._least_on_device is None or len(spoken) < self._least_on_device:
            found = self._model.emissions(audio)
        else:
            symbols = [self._spell(windows[index]).symbols for index in spoken]
            found = translating_torch_errors(lambda: self._search(audio, symbols))
        for index, one in zip(spoken, found, strict=True):
            heard[index] = one
        return heard

    def time(
        self, windows: Sequence[SpokenWindow], heard: Sequence[Heard]
    ) -> tuple[tuple[Word, ...], ...]:
        """Time every word, as `Aligner.time`."""
        spellings = [self._spell(window) for window in windows]
        paths = [one.path if isinstance(one, FoundPath) else None for one in heard]
        left = [index for index, one in enumerate(heard) if not isinstance(one, FoundPath)]
        found = align_symbols(
            [heard[index] for index in left],
            [spellings[index].symbols for index in left],
            self._alphabet.blank,
        )
        for index, path in zip(left, found, strict=True):
            paths[index] = path
        times: list[list[WordTime | None]] = [[None] * len(window.words) for window in windows]
        for index, path in enumerate(paths):
            if path is not None:
                seconds = len(windows[index].audio) / SAMPLE_RATE
                times[index] = word_times(spellings[index], path, seconds / len(heard[index]))
        return tuple(
            complete_words(window.words, timed, len(window.audio) / SAMPLE_RATE)
            for window, timed in zip(windows, times, strict=True)
        )

    @torch.inference_mode()
    def _search(self, audio: Sequence[Audio], symbols: Sequence[Indices]) -> list[FoundPath]:
        emissions = self._model.on_device(audio)
        library = torch_library(self.device)
        paths = align_symbols(emissions, symbols, self._alphabet.blank, library)
        return [
            FoundPath(path, len(emission)) for path, emission in zip(paths, emissions, strict=True)
        ]

    def _spell(self, window: SpokenWindow) -> Spelling:
        return spell_words(window.words, self._alphabet)

    def _has_symbols(self, window: SpokenWindow) -> bool:
        return bool(len(window.audio) and len(self._spell(window).symbols))


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
    model = load_emission_model(request)
    least_on_device = None if model.device == "cpu" else LEAST_ON_GPU
    return CtcAligner(model, request.language, least_on_device)

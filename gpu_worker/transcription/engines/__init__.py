"""Engines, the models behind `transcribe`: their options, input and output.

An engine knows windows of audio and nothing of files, chunks or jobs. Its times
are seconds from the start of each window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning, Word


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """The options of decoding. Defaults are openai/whisper's, but greedy."""

    language: str | None = None  # None is for `detect_language` alone
    task: Literal["transcribe", "translate"] = "transcribe"
    beam_size: int = 1
    best_of: int = 5  # candidates when sampling
    patience: float = 1.0
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    compression_ratio_threshold: float | None = 2.4
    logprob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6
    initial_prompt: str | None = None
    hotwords: str | None = None
    suppress_tokens: tuple[int, ...] = (-1,)  # -1: the model's non-speech symbols
    max_new_tokens: int | None = None
    word_timestamps: bool = True

    @property
    def written_language(self) -> str:
        """The code of the text's language: a translation is in English. Empty if not known."""
        return "en" if self.task == "translate" else self.language or ""


@dataclass(frozen=True, slots=True)
class WindowText:
    """An engine's text of one window."""

    text: str
    words: tuple[Word, ...]  # all of the text; times from the window's start; empty without times
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float
    is_whole: bool = True  # False: it ends where the model had no room for more


NOTHING_SAID = WindowText("", (), 0.0, 1.0, 0.0, 0.0)
"""The text of a window without speech."""

SHORTEST_SECONDS = 0.05  # of a window with speech; models write words for less, even for nothing


@dataclass(frozen=True, slots=True)
class DetectedLanguage:
    """The language of one window."""

    language: str
    probability: float


class Engine(Protocol):
    """One model in memory."""

    name: str  # of the model
    kind: str  # faster_whisper, torch or parakeet, as in `EngineRequest`; or fake
    device: str  # as for people: "cpu", "cuda"
    shares_cores: bool  # it computes on the cores that prepare its windows
    max_window_seconds: float  # the longest window it was made for
    languages: frozenset[str]
    detects_language: bool  # False: it writes several languages, and does not say which one

    def prepare(self, window: Audio) -> Any:
        """Compute what `decode` takes for a window: on the CPU, also while a batch is decoded.

        Raises ValueError for a window that is longer than `max_window_seconds`.
        """

    def decode(self, windows: Sequence[Any], options: DecodeOptions) -> tuple[WindowText, ...]:
        """Decode all prepared windows as one batch. Raises MemoryError when it does not fit.

        A window's text does not depend on its neighbours in the batch.
        """

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        """Prepare all windows, and decode them as one batch. Raises as `decode`."""

    def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
        """Return warnings about options that cannot be followed in full. Raises InvalidOption."""

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        """Return the most probable language of each window, as one batch.

        Raises MemoryError when the batch does not fit, and InvalidOption where the engine does not
        detect languages.
        """

    def hear_languages(self, snippets: Sequence[Audio]) -> tuple[Mapping[str, float], ...]:
        """Return how likely each language is, by its code, in snippets of some seconds each.

        May be cheaper and a little less sure than `detect_languages`. What is heard in one does
        not depend on the others. Raises MemoryError when the batch does not fit.
        """


def text_of(window: Audio, text: WindowText) -> WindowText:
    """Return the text of a window, or `NOTHING_SAID` if the window is too short for a word."""
    return text if len(window) >= SHORTEST_SECONDS * SAMPLE_RATE else NOTHING_SAID


def check_window(window: Audio, engine: Engine) -> None:
    """Raise ValueError for a window that is longer than the engine hears: it would lose its end."""
    if len(window) > round(engine.max_window_seconds * SAMPLE_RATE):
        raise ValueError(
            f"A window of {len(window) / SAMPLE_RATE:.2f} s is longer than the "
            f"{engine.max_window_seconds:g} s that model {engine.name!r} hears at once."
        )


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """Which engine to load, and the device it runs on."""

    model: str  # a name of `models.py`, a directory, or owner/name on the hub
    revision: str | None = None  # on the hub
    compute_type: str = "default"
    device: str = "auto"
    threads: int = 0  # of a CPU model; 0: all cores
    model_dir: str | None = None
    hub_token: str | None = None
    engine: str = "faster_whisper"  # torch or parakeet (`choice.py`); without effect on `fake`
    encoder: str = "torch"  # or onnx: what runs the encoder of the engine torch

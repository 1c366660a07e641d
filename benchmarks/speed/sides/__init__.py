"""The sides: each a program of its own that has a model in memory and turns files into text.

A side is a module of this package with `load(setup)`, and a line in SIDES. All have the same
weights and as many threads as there are cores, decode greedily (one beam), are told that it is
English, and time the words where they can. What is not said is each side's own default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orchestrator.local.workers import KEEP_MEMORY

OURS = "ours"
COMPUTE_TYPE = "int8"  # of all that CTranslate2 runs


@dataclass(frozen=True, slots=True)
class Setup:
    """What a side is started with."""

    model: str  # as a job names it
    directory: str  # its CTranslate2 files
    threads: int
    forced_tokens: int | None = None  # of each window, for random weights; no words then


@dataclass(frozen=True, slots=True)
class Heard:
    """The texts of the files, and what else a side has to say."""

    texts: list[str]
    busy: dict[str, float] = field(default_factory=dict)  # share of the time, by worker


class Side(Protocol):
    """A side with its model in memory."""

    def warm_up(self, path: Path) -> None:
        """Transcribe the file so that nothing is done for the first time later."""

    def transcribe(self, paths: Sequence[Path], batch_size: int) -> Heard:
        """Transcribe all files, in their order."""


class OneAtATime:
    """The files one after the other, as a program of one process does it."""

    def warm_up(self, path: Path) -> None:
        """Transcribe it once."""
        self.text(path, 1)

    def transcribe(self, paths: Sequence[Path], batch_size: int) -> Heard:
        """Texts alone: there are no workers."""
        return Heard([self.text(path, batch_size) for path in paths])

    def text(self, path: Path, batch_size: int) -> str:
        """One file's."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Kind:
    """How a side is started, and what its figures mean."""

    module: str  # of this package
    what: str
    environment: Mapping[str, str] = field(default_factory=dict)  # added to our own
    has_batches: bool = False  # the best size is looked for before the rounds
    forces_tokens: bool = False  # so it can be measured with random weights
    of_peers: bool = False  # runs with --peers-python


_BATCHED = "faster-whisper's BatchedInferencePipeline, int8, its VAD, windows of 30 s, no fallback"
SIDES: dict[str, Kind] = {
    OURS: Kind(
        "ours",
        "a warm cluster: a GPU worker of one thread for each core, one CPU worker, Redis, a store; "
        "from the first upload to the last result; int8, words by cross-attention, fallback",
        forces_tokens=True,
    ),
    "batched": Kind("batched", _BATCHED, has_batches=True, forces_tokens=True),
    "batched-kept": Kind(
        "batched",
        f"{_BATCHED}; with the allocator's settings of our workers",
        environment=KEEP_MEMORY,
        has_batches=True,
        forces_tokens=True,
    ),
    "sequential": Kind(
        "sequential",
        "faster-whisper's WhisperModel.transcribe, int8, vad_filter, timestamp tokens, the text so "
        "far as prompt, fallback",
    ),
    "openai": Kind(
        "openai",
        "openai-whisper in torch, float32 read from the same files, no VAD, timestamp tokens, the "
        "text so far as prompt, fallback",
        of_peers=True,
    ),
    "transformers": Kind(
        "transformers_pipeline",
        "transformers' pipeline in torch, float32 read from the same files, chunks of 30 s that "
        "overlap; no times of words",
        has_batches=True,
    ),
    "whisperx": Kind(
        "whisperx_pipeline",
        "whisperX's load_model and transcribe, int8, pyannote's VAD; no align model can be had, so "
        "no times of words",
        has_batches=True,
    ),
    "whispercpp": Kind(
        "whispercpp",
        "whisper.cpp, q8_0 made from the same files, no VAD, timestamp tokens, fallback, times of "
        "tokens instead of words",
        of_peers=True,
    ),
}


def options_of_faster_whisper(setup: Setup) -> dict[str, Any]:
    """Arguments of both of its ways to transcribe."""
    told: dict[str, Any] = {"language": "en", "beam_size": 1}
    if setup.forced_tokens is None:
        return told | {"word_timestamps": True}
    from benchmarks.speed.random_whisper import END_OF_TEXT

    # CTranslate2 decodes half of the limit that faster-whisper gives it: the prompt's 4, and these.
    limit = 2 * setup.forced_tokens - 4
    return told | {
        "suppress_tokens": [-1, END_OF_TEXT],
        "max_new_tokens": limit,
        "temperature": 0.0,
    }

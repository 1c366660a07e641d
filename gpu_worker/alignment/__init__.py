"""Forced alignment: the input and the output of an aligner.

An aligner gets the words of a window and finds when each was said. It knows nothing of
files, chunks or jobs; its times are seconds from the start of each window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gpu_worker.audio.samples import Audio
from gpu_worker.transcript import Word


@dataclass(frozen=True, slots=True)
class SpokenWindow:
    """One window's audio and the words that are said in it."""

    audio: Audio  # mono samples at 16 kHz in -1..1, shape (samples,)
    words: tuple[str, ...]  # as written, in order


class Aligner(Protocol):
    """One alignment method in memory, with its model if it has one."""

    name: str
    device: str  # as for people: "cpu", "cuda"

    def hear(self, windows: Sequence[SpokenWindow]) -> Sequence[Any]:
        """Run the model on every window, as one batch; return what `time` needs of each.

        What is heard in a window does not depend on the others of its batch. Raises MemoryError
        when the batch does not fit.
        """

    def time(
        self, windows: Sequence[SpokenWindow], heard: Sequence[Any]
    ) -> tuple[tuple[Word, ...], ...]:
        """Time every word of every window from what was heard in it. Uses no device.

        Return one Word for each given word, with the same text and a score in 0..1. A word
        that could not be aligned gets a time between its neighbours and `interpolated`.
        """


def align(aligner: Aligner, windows: Sequence[SpokenWindow]) -> tuple[tuple[Word, ...], ...]:
    """Time every word of every window, as one batch. Raises what `Aligner.hear` raises."""
    return aligner.time(windows, aligner.hear(windows))


@dataclass(frozen=True, slots=True)
class AlignerRequest:
    """Which aligner to load, and the device it runs on."""

    aligner: str  # a name of `loaded.py`
    model: str  # a name of `models.py`, a directory, or owner/name on the hub
    language: str  # code of two or three letters
    device: str = "auto"
    compute_type: str = "auto"  # float32, float16, bfloat16; auto: float16 on a GPU, else float32
    threads: int = 0  # of a CPU model; 0: as many as the process uses already
    model_dir: str | None = None
    hub_token: str | None = None

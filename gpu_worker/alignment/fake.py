"""An aligner that needs no model: it spreads the words over the window by their length.

Deterministic, and its scores are all FAKE_SCORE, so that a test sees that this aligner timed a
word.
For tests of the cluster and for trying a deployment out.
"""

from __future__ import annotations

from collections.abc import Sequence

from gpu_worker.alignment import AlignerRequest, SpokenWindow
from gpu_worker.alignment.interpolation import spread_evenly
from gpu_worker.errors import UnknownModel
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word

FAKE_SCORE = 0.9


class FakeAligner:
    """Spreads words evenly; with `largest_batch` it fails for larger batches, as a GPU would."""

    device = "cpu"

    def __init__(self, name: str = "fake", largest_batch: int | None = None) -> None:
        self.name = name
        self._largest_batch = largest_batch

    def hear(self, windows: Sequence[SpokenWindow]) -> list[None]:
        """Hear nothing. Raises MemoryError above the largest batch."""
        if self._largest_batch is not None and len(windows) > self._largest_batch:
            raise MemoryError(f"a batch of {len(windows)} windows")
        return [None] * len(windows)

    def time(
        self, windows: Sequence[SpokenWindow], heard: Sequence[None]
    ) -> tuple[tuple[Word, ...], ...]:
        """Time every word, as `Aligner.time`."""
        return tuple(_timed(window) for window in windows)


def load(request: AlignerRequest) -> FakeAligner:
    """Make the fake aligner, whichever aligner was asked for. Raises UnknownModel."""
    if request.model != "fake":
        raise UnknownModel(f"There is no align model named {request.model!r}.")
    return FakeAligner(request.model)


def _timed(window: SpokenWindow) -> tuple[Word, ...]:
    times = spread_evenly(window.words, 0.0, len(window.audio) / SAMPLE_RATE)
    return tuple(
        Word(word, round(time.start, 3), round(time.end, 3), FAKE_SCORE)
        for word, time in zip(window.words, times, strict=True)
    )

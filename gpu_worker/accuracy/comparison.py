"""Which variants have too many word errors. Pure.

A variant is a model with a compute type; the first one is the reference side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpu_worker.accuracy.word_error import WordError


@dataclass(frozen=True, slots=True)
class Measurement:
    """One variant on a whole labelled set."""

    model: str
    compute_type: str
    error: WordError
    seconds: float  # of transcribing, with the model loaded
    audio_seconds: float

    @property
    def name(self) -> str:
        """The variant, for people."""
        return f"{self.model} {self.compute_type}"

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for each second of audio."""
        return self.seconds / self.audio_seconds if self.audio_seconds else float("nan")


def points_above(measured: Measurement, reference: Measurement) -> float:
    """Return the points (percent) of word error rate above the reference's; negative if below."""
    return 100 * (measured.error.rate - reference.error.rate)


def too_wrong(measurements: Sequence[Measurement], most: float) -> list[Measurement]:
    """Return the variants whose word error rate is more than `most` points above the first's."""
    first, *others = measurements
    # Rates are fractions of words: what is equal in words must not differ by a rounding.
    return [each for each in others if points_above(each, first) > most + 1e-9]

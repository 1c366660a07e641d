"""The order of the sides, and the ratios of what they took in the same round. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from scipy.stats import bootstrap

T = TypeVar("T")
NOISY = 0.1  # of the machine used by others, or by which the probe became slower or faster


@dataclass(frozen=True, slots=True)
class Sample:
    """One side's run over one round's files."""

    round: int
    side: str
    seconds: float
    audio_seconds: float
    batch_size: int | None
    words: int  # of the reference; 0: not judged
    errors: int
    peak_memory_mb: float  # of all its processes; shared pages count in parts
    cpu_seconds: float  # of all its processes
    other_share: float  # of the machine, used by all other programs
    probe_before: float  # seconds of the same small computation
    probe_after: float
    load_average: float  # when it began
    busy: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_noisy(self) -> bool:
        """Whether others had more than a tenth of the machine, or its speed changed as much."""
        return self.other_share > NOISY or abs(self.probe_after / self.probe_before - 1) > NOISY


def order(sides: Sequence[T], number: int) -> tuple[T, ...]:
    """Every other round runs backwards, so that what grows or shrinks hits all sides alike."""
    return tuple(sides) if number % 2 == 0 else tuple(reversed(sides))


def paired_ratios(samples: Sequence[Sample], side: str) -> dict[str, dict[str, Any]]:
    """The side's seconds over each other side's in the same round, in all rounds that have both."""
    by_round: dict[int, dict[str, Sample]] = {}
    for sample in samples:
        by_round.setdefault(sample.round, {})[sample.side] = sample
    found: dict[str, dict[str, Any]] = {}
    for other in dict.fromkeys(sample.side for sample in samples if sample.side != side):
        pairs = [
            (each[side], each[other])
            for _, each in sorted(by_round.items())
            if side in each and other in each
        ]
        if pairs:
            ratios = [own.seconds / peer.seconds for own, peer in pairs]
            found[other] = {
                "median": round(statistics.median(ratios), 3),
                "lowest": round(min(ratios), 3),
                "highest": round(max(ratios), 3),
                "interval": interval(ratios),
                "each": [round(ratio, 3) for ratio in ratios],
                "noisy_pairs": sum(own.is_noisy or peer.is_noisy for own, peer in pairs),
            }
    return found


def interval(ratios: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % bootstrap interval of the median; None for fewer than three ratios."""
    if len(ratios) < 3:
        return None
    found = bootstrap((ratios,), np.median, method="percentile", rng=np.random.default_rng(0))
    low, high = found.confidence_interval
    return round(float(low), 3), round(float(high), 3)


def summary(samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """By side: medians over the rounds, the largest memory, and the error rate of all its words."""
    found = {}
    for side in dict.fromkeys(sample.side for sample in samples):
        own = [sample for sample in samples if sample.side == side]
        words = sum(sample.words for sample in own)
        workers = sorted({worker for sample in own for worker in sample.busy})
        found[side] = {
            "seconds": round(statistics.median(sample.seconds for sample in own), 2),
            "times_realtime": round(
                statistics.median(sample.audio_seconds / sample.seconds for sample in own), 1
            ),
            "cpu_seconds": round(statistics.median(sample.cpu_seconds for sample in own), 2),
            "peak_memory_mb": max(sample.peak_memory_mb for sample in own),
            "batch_size": own[-1].batch_size,
            "wer_percent": round(100 * sum(sample.errors for sample in own) / words, 2)
            if words
            else None,
            "busy": {
                worker: round(statistics.median(sample.busy.get(worker, 0.0) for sample in own), 3)
                for worker in workers
            },
            "noisy": sum(sample.is_noisy for sample in own),
        }
    return found

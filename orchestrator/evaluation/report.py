"""The figures of an evaluation, by recording and in all, and which side is better. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from gpu_worker.accuracy.word_error import WordError
from orchestrator.evaluation.transcribing import HeardFile
from orchestrator.evaluation.variants import Variant
from orchestrator.usage.prices import Prices

_DER_PARTS = ("scored", "missed", "false_alarm", "confusion")


@dataclass(frozen=True, slots=True)
class Figure:
    """What one side made of one recording, or of several, and what that took."""

    words: WordError
    speakers_words: WordError | None = None
    speakers: tuple[float, float] | None = None  # seconds of speech that were wrong, and all
    starts: tuple[float, ...] = ()
    audio_seconds: float = 0.0
    device_seconds: float = 0.0
    cost: float | None = None

    def __add__(self, other: Figure) -> Figure:
        return Figure(
            self.words + other.words,
            _sum(self.speakers_words, other.speakers_words),
            _sum_pairs(self.speakers, other.speakers),
            self.starts + other.starts,
            self.audio_seconds + other.audio_seconds,
            self.device_seconds + other.device_seconds,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON; None for what is not known."""
        sizes = np.abs(np.array(self.starts))
        timed = len(self.starts)
        return {
            "words": self.words.words,
            "errors": self.words.errors,
            "wer": _ratio(self.words.errors, self.words.words),
            "cpwer": self.speakers_words
            and _ratio(self.speakers_words.errors, self.speakers_words.words),
            "der": self.speakers and _ratio(*self.speakers),
            "timed_words": timed,
            "start_median_ms": round(1000 * float(np.median(sizes)), 1) if timed else None,
            "start_p95_ms": round(1000 * float(np.quantile(sizes, 0.95)), 1) if timed else None,
            "audio_seconds": round(self.audio_seconds, 3),
            "device_seconds": round(self.device_seconds, 3),
            "speed": _ratio(self.audio_seconds, self.device_seconds),
            "cost": None if self.cost is None else round(self.cost, 6),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Recordings that several sides have transcribed, the reference side first."""

    sides: Sequence[Variant]
    rows: Sequence[tuple[str, tuple[Figure, ...]]]  # a recording, and its figures by side
    differences: Sequence[Mapping[str, Any]] = field(default_factory=list)  # of sides but the first
    currency: str = ""

    @property
    def totals(self) -> tuple[Figure, ...]:
        """The figures of all recordings, by side."""
        columns: Iterable[tuple[Figure, ...]] = zip(*(row for _, row in self.rows), strict=True)
        return tuple(reduce(add, column) for column in columns)

    def better(self, side: int, metric: str) -> str | None:
        """Return the name of the side with fewer errors by more than chance; None: chance."""
        sign = self.differences[side - 1].get(metric, {}).get("sign", 0)
        if not sign:
            return None
        return self.sides[0].name if sign > 0 else self.sides[side].name

    def points_above(self, side: int) -> float:
        """Return a side's points (percent) of word error rate above the first side's."""
        first, other = self.totals[0].words, self.totals[side].words
        return 100 * (other.rate - first.rate)

    def too_wrong(self, most: float) -> list[int]:
        """Return the sides that are more than `most` points above the first one.

        Rates are fractions of words: what is equal in words must not differ by a rounding.
        """
        later = range(1, len(self.sides))
        return [side for side in later if self.points_above(side) > most + 1e-9]

    def to_json(self) -> dict[str, Any]:
        """Return the whole evaluation as JSON."""
        names = [side.name for side in self.sides]
        return {
            "sides": {
                side.name: {"given": side.given, "options": side.options.model_dump(mode="json")}
                for side in self.sides
            },
            "recordings": [
                {"name": name} | {it: one.to_json() for it, one in zip(names, row, strict=True)}
                for name, row in self.rows
            ],
            "all": {it: one.to_json() for it, one in zip(names, self.totals, strict=True)},
            "differences": {
                name: {
                    metric: _difference_json(found) | {"better": self.better(side, metric)}
                    for metric, found in self.differences[side - 1].items()
                }
                for side, name in enumerate(names)
                if side
            },
            "currency": self.currency,
        }


def make_evaluation(
    sides: Sequence[Variant],
    names: Sequence[str],
    heard: Sequence[Sequence[HeardFile]],
    scores: Mapping[str, Any],
    prices: Prices | None,
) -> Evaluation:
    """Join what was heard, by side and recording, with what `scoring.score` says of it."""
    rows = [
        (
            name,
            tuple(
                _figure(side[number], found, prices)
                for side, found in zip(heard, scores["recordings"][number], strict=True)
            ),
        )
        for number, name in enumerate(names)
    ]
    return Evaluation(sides, rows, scores["differences"], prices.currency if prices else "")


def _figure(heard: HeardFile, scores: Mapping[str, Any], prices: Prices | None) -> Figure:
    speakers_words, speakers = scores["speakers_words"], scores["speakers"]
    parts = [speakers[name] for name in _DER_PARTS] if speakers else []
    return Figure(
        WordError(**scores["words"]),
        WordError(**speakers_words) if speakers_words else None,
        (sum(parts[1:]), parts[0]) if parts else None,
        tuple(scores["starts"]),
        heard.audio_seconds,
        heard.device_seconds,
        prices.cost(heard.figures) if prices else None,
    )


def _difference_json(found: Mapping[str, Any]) -> dict[str, Any]:
    points = {name: round(100 * found[name], 4) for name in ("value", "low", "high")}
    return {
        "points": points["value"],
        "low": points["low"],
        "high": points["high"],
        "units": found["units"],
        "of": found["of"],
    }


def _sum(one: WordError | None, other: WordError | None) -> WordError | None:
    return one + other if one and other else one or other


def _sum_pairs(
    one: tuple[float, float] | None, other: tuple[float, float] | None
) -> tuple[float, float] | None:
    return (one[0] + other[0], one[1] + other[1]) if one and other else one or other


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole else None  # JSON has no NaN

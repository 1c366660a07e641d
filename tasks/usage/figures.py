"""What was used, as numbers that can be added up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

SECONDS_DIGITS = 7  # of sums: a sample is 0.0000625 s, so that no sum drifts from its parts


@dataclass(frozen=True, slots=True)
class Use:
    """What one unit used of its device and the store: a part of its receipt."""

    device: str  # the name of the card, or `cpu`
    device_seconds: float
    joules: float | None = None  # None where nothing tells
    retries: int = 0  # tries before, whether they ended with an error or with the process
    stored_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are set."""
        return _set_fields(self)


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over units."""

    units: int = 0  # that were computed
    cached: int = 0  # that were found computed: an earlier run or job has paid for them
    audio_seconds: float = 0.0  # of the computed ones
    cached_audio_seconds: float = 0.0
    device_seconds: float = 0.0
    joules: float | None = None  # of those units for which it is known; None: of none
    retries: int = 0
    stored_bytes: int = 0

    def __add__(self, other: Figures) -> Figures:
        """Return the sum of both."""
        known = [joules for joules in (self.joules, other.joules) if joules is not None]
        return Figures(
            self.units + other.units,
            self.cached + other.cached,
            round(self.audio_seconds + other.audio_seconds, SECONDS_DIGITS),
            round(self.cached_audio_seconds + other.cached_audio_seconds, SECONDS_DIGITS),
            round(self.device_seconds + other.device_seconds, SECONDS_DIGITS),
            round(sum(known), SECONDS_DIGITS) if known else None,
            self.retries + other.retries,
            self.stored_bytes + other.stored_bytes,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are not zero."""
        return {name: value for name, value in _set_fields(self).items() if value != 0}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` gives; ignore unknown fields."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


def _set_fields(data: Use | Figures) -> dict[str, Any]:
    values = ((it.name, getattr(data, it.name)) for it in fields(data))
    return {name: value for name, value in values if value is not None}

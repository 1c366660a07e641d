"""A profile's limits in frames of the video. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpu_worker.assembly.subtitle_profiles import Limits

AIM_SHORTEST_MS, AIM_LONGEST_MS = 833, 7_000  # for profiles without a limit of their own
EPSILON = 1e-6  # frames: a product of floats that misses a whole number by less is that number


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """The limits of one language; `ease` is the profile's."""

    limits: Limits
    rate: float
    ease: float

    def at_least(self, ms: float) -> int:
        """Return the fewest frames that are no shorter."""
        return math.ceil(ms * self.rate / 1000 - EPSILON)

    def at_most(self, ms: float) -> int:
        """Return the most frames that are no longer."""
        return math.floor(ms * self.rate / 1000 + EPSILON)

    @property
    def shortest(self) -> int:
        """The fewest frames of a cue."""
        return self.at_least(self.limits.shortest_ms or AIM_SHORTEST_MS)

    @property
    def longest(self) -> int:
        """The most frames of a cue."""
        return self.at_most(self.limits.longest_ms or AIM_LONGEST_MS)

    def reading(self, characters: float, words: int) -> tuple[int, int]:
        """Return the frames that a text must be shown, and those that are aimed at."""
        needed = 0.0
        if (most := self.limits.characters_a_second) is not None:
            needed = characters * 1000 / most
        if (most := self.limits.words_a_minute) is not None:
            needed = max(needed, words * 60_000 / most)
        return self.at_least(needed), self.at_least(needed / self.ease)

"""A number of word errors, and its rate. Without libraries: the control plane reads it too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WordError:
    """Words that were said, and how many substitutions, deletions and insertions."""

    words: int
    errors: int

    @property
    def rate(self) -> float:
        """The word error rate; NaN where nothing was said."""
        return self.errors / self.words if self.words else float("nan")

    def __add__(self, other: WordError) -> WordError:
        return WordError(self.words + other.words, self.errors + other.errors)

"""Which files make a model: those that are fetched, and those that it is not whole without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model, as patterns of names."""

    fetched: tuple[str, ...]
    needed: tuple[tuple[str, ...], ...]  # all patterns of one of these sets

    def is_whole(self, directory: Path) -> bool:
        """Return whether the directory has all that the model needs."""
        return any(_has(directory, patterns) for patterns in self.needed)


def _has(directory: Path, patterns: Sequence[str]) -> bool:
    return all(any(directory.glob(pattern)) for pattern in patterns)

"""Which aligners there are, and those that a process holds in memory.

An aligner's module is imported when it is first asked for, so that nobody loads a
model library by importing this.
"""

from __future__ import annotations

from collections.abc import Callable

from gpu_worker.alignment import Aligner, AlignerRequest
from gpu_worker.errors import InvalidOption, LibraryMissing
from gpu_worker.models.loaded import Factories, LoadedModels, Tell, load_by, tell_nobody

ALIGNERS = ("ctc", "whisperx")  # by name, each a module of this package
AlignerFactory = Callable[[AlignerRequest], Aligner]


def register_aligner(name: str, factory: AlignerFactory) -> None:
    """Let `factory` load the align models `name` and `name-…`, whatever the aligner is."""
    _factories[name] = factory


def load_aligner(request: AlignerRequest) -> Aligner:
    """Load an aligner and its model.

    Raises InvalidOption, LibraryMissing, UnknownModel, ModelUnavailable or MemoryError.
    """
    try:
        return _factories.load(request)
    except ImportError as error:
        raise LibraryMissing(f"{error}, so words cannot be aligned.") from error


def _load_by_aligner(request: AlignerRequest) -> Aligner:
    if request.aligner not in ALIGNERS:
        known = ", ".join(ALIGNERS)
        raise InvalidOption(f"There is no aligner {request.aligner!r}, only {known}.")
    aligner: Aligner = load_by(f"gpu_worker.alignment.{request.aligner}", request)
    return aligner


_factories = Factories[AlignerRequest, Aligner](_load_by_aligner, fake="gpu_worker.alignment.fake")


class LoadedAligners(LoadedModels[AlignerRequest, Aligner]):
    """The aligners used last, each loaded once."""

    def __init__(self, capacity: int, tell: Tell = tell_nobody) -> None:
        super().__init__(capacity, load_aligner, tell)

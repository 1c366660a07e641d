"""Which aligners there are, and those that a process holds in memory.

An aligner's module is imported when it is first asked for, so that nobody loads a
model library by importing this.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from gpu_worker.alignment import Aligner, AlignerRequest
from gpu_worker.errors import InvalidOption, LibraryMissing
from gpu_worker.loaded import LoadedModels

ALIGNERS = ("ctc", "whisperx")  # by name, each a module of this package
AlignerFactory = Callable[[AlignerRequest], Aligner]
_factories: dict[str, AlignerFactory] = {}


def register_aligner(name: str, factory: AlignerFactory) -> None:
    """Let `factory` load the align models `name` and `name-…`, whatever the aligner is."""
    _factories[name] = factory


def load_aligner(request: AlignerRequest) -> Aligner:
    """Load an aligner and its model.

    Raises InvalidOption, LibraryMissing, UnknownModel, ModelUnavailable or MemoryError.
    """
    name = "" if "/" in request.model else request.model.partition("-")[0]
    if name in _factories:
        return _factories[name](request)
    if request.aligner not in ALIGNERS:
        known = ", ".join(ALIGNERS)
        raise InvalidOption(f"There is no aligner {request.aligner!r}, only {known}.")
    try:
        module: Any = importlib.import_module(f"gpu_worker.alignment.{request.aligner}")
    except ImportError as error:
        raise LibraryMissing(f"{error}, so words cannot be aligned.") from error
    aligner: Aligner = module.load(request)
    return aligner


def _load_fake(request: AlignerRequest) -> Aligner:
    module: Any = importlib.import_module("gpu_worker.alignment.fake")
    aligner: Aligner = module.load(request)
    return aligner


register_aligner("fake", _load_fake)


class LoadedAligners(LoadedModels[AlignerRequest, Aligner]):
    """The aligners used last, each loaded once."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, load_aligner)

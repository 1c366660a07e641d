"""Which diarizers there are, and those that a process holds in memory.

A diarizer's module is imported when it is first asked for, so that nobody loads a
model library by importing this.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from gpu_worker.diarization import Diarizer, DiarizerRequest
from gpu_worker.errors import LibraryMissing
from gpu_worker.loaded import LoadedModels

DiarizerFactory = Callable[[DiarizerRequest], Diarizer]
_factories: dict[str, DiarizerFactory] = {}


def register_diarizer(name: str, factory: DiarizerFactory) -> None:
    """Let the model names `name` and `name-…` be loaded by `factory`."""
    _factories[name] = factory


def load_diarizer(request: DiarizerRequest) -> Diarizer:
    """Load a model.

    Raises LibraryMissing, UnknownModel, HubTokenMissing, ModelGated, ModelUnavailable or
    OutOfMemory.
    """
    name = "" if "/" in request.model else request.model.partition("-")[0]
    if name in _factories:
        return _factories[name](request)
    try:
        module: Any = importlib.import_module("gpu_worker.diarization.loading")
    except ImportError as error:
        raise LibraryMissing(f"{error}, so speakers cannot be told apart.") from error
    diarizer: Diarizer = module.load(request)
    return diarizer


def _load_fake(request: DiarizerRequest) -> Diarizer:
    module: Any = importlib.import_module("gpu_worker.diarization.fake")
    diarizer: Diarizer = module.load(request)
    return diarizer


register_diarizer("fake", _load_fake)


class LoadedDiarizers(LoadedModels[DiarizerRequest, Diarizer]):
    """The diarizers used last, each loaded once."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, load_diarizer)

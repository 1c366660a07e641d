"""Which diarizers there are, and those that a process holds in memory.

A diarizer's module is imported when it is first asked for, so that nobody loads a
model library by importing this.
"""

from __future__ import annotations

from collections.abc import Callable

from gpu_worker.diarization import Diarizer, DiarizerRequest
from gpu_worker.errors import LibraryMissing
from gpu_worker.models.loaded import Factories, LoadedModels, Tell, load_by, tell_nobody

DiarizerFactory = Callable[[DiarizerRequest], Diarizer]
_factories = Factories[DiarizerRequest, Diarizer](
    lambda request: load_by("gpu_worker.diarization.pretrained", request),
    fake="gpu_worker.diarization.fake",
)


def register_diarizer(name: str, factory: DiarizerFactory) -> None:
    """Let the model names `name` and `name-…` be loaded by `factory`."""
    _factories[name] = factory


def load_diarizer(request: DiarizerRequest) -> Diarizer:
    """Load a model.

    Raises LibraryMissing, UnknownModel, HubTokenMissing, ModelGated, ModelUnavailable or
    OutOfMemory.
    """
    try:
        return _factories.load(request)
    except ImportError as error:
        raise LibraryMissing(f"{error}, so speakers cannot be told apart.") from error


class LoadedDiarizers(LoadedModels[DiarizerRequest, Diarizer]):
    """The diarizers used last, each loaded once."""

    def __init__(self, capacity: int, tell: Tell = tell_nobody) -> None:
        super().__init__(capacity, load_diarizer, tell)

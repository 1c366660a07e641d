"""Which engines there are, and those that a process holds in memory.

An engine's module is imported when it is first asked for, so that nobody loads a
model library by importing this.
"""

from __future__ import annotations

from collections.abc import Callable

from gpu_worker.models.loaded import Factories, LoadedModels, Tell, load_by, tell_nobody
from gpu_worker.transcription.engines import Engine, EngineRequest

EngineFactory = Callable[[EngineRequest], Engine]
_factories = Factories[EngineRequest, Engine](
    lambda request: load_by("gpu_worker.transcription.engines.faster_whisper", request),
    fake="gpu_worker.transcription.engines.fake",
)


def register_engine(name: str, factory: EngineFactory) -> None:
    """Let the model names `name` and `name-…` be loaded by `factory`."""
    _factories[name] = factory


def load_engine(request: EngineRequest) -> Engine:
    """Load a model. Raises UnknownModel, ModelUnavailable or OutOfMemory."""
    return _factories.load(request)


class LoadedEngines(LoadedModels[EngineRequest, Engine]):
    """The engines used last, each loaded once."""

    def __init__(self, capacity: int, tell: Tell = tell_nobody) -> None:
        super().__init__(capacity, load_engine, tell)

"""Which engines there are, and those that a process holds in memory.

An engine's module is imported when it is first asked for, so that nobody loads a
model library by importing this.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from gpu_worker.engines import Engine, EngineRequest
from gpu_worker.loaded import LoadedModels

EngineFactory = Callable[[EngineRequest], Engine]
_factories: dict[str, EngineFactory] = {}


def register_engine(name: str, factory: EngineFactory) -> None:
    """Let the model names `name` and `name-…` be loaded by `factory`."""
    _factories[name] = factory


def load_engine(request: EngineRequest) -> Engine:
    """Load a model. Raises UnknownModel, ModelUnavailable or OutOfMemory."""
    name = "" if "/" in request.model else request.model.partition("-")[0]
    if name in _factories:
        return _factories[name](request)
    module: Any = importlib.import_module("gpu_worker.engines.faster_whisper")
    engine: Engine = module.load(request)
    return engine


def _load_fake(request: EngineRequest) -> Engine:
    module: Any = importlib.import_module("gpu_worker.engines.fake")
    engine: Engine = module.load(request)
    return engine


register_engine("fake", _load_fake)


class LoadedEngines(LoadedModels[EngineRequest, Engine]):
    """The engines used last, each loaded once."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, load_engine)

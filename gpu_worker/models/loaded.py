"""Which factory loads a model, and the models that a process holds in memory.

Knows neither what they are nor how to load one.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar


class ModelRequest(Hashable, Protocol):
    """What names a model."""

    @property
    def model(self) -> str: ...


Request = TypeVar("Request", bound=ModelRequest)
Model = TypeVar("Model")
Tell = Callable[[float | None], None]


class Factories(dict[str, Callable[[Request], Model]]):
    """What loads the models `name` and `name-…`, by that name; all others have the default."""

    def __init__(self, default: Callable[[Request], Model], fake: str) -> None:
        """`fake` is the module of the models of that name."""
        super().__init__(fake=lambda request: load_by(fake, request))
        self._default = default

    def load(self, request: Request) -> Model:
        """Raises what the factory raises."""
        name = "" if "/" in request.model else request.model.partition("-")[0]
        return self.get(name, self._default)(request)


def load_by(module: str, request: Any) -> Any:
    """By the `load` of a module that is imported when it is first asked for. Raises ImportError."""
    return importlib.import_module(module).load(request)


def tell_nobody(_: float | None) -> None:
    """For those who need not know."""


class LoadedModels(Generic[Request, Model]):
    """Loads each model once, also when several threads ask at the same time."""

    def __init__(
        self,
        capacity: int,
        load: Callable[[Request], Model],
        tell: Tell = tell_nobody,
    ) -> None:
        """At most `capacity` at once; the one used least recently goes first.

        `tell` is told of each model that was got: the seconds of loading it, None if it was there.
        """
        self._capacity = capacity
        self._load = load
        self._tell = tell
        self._models: OrderedDict[Request, Model] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, request: Request) -> Model:
        """The model, loaded if need be. Raises what loading it raises."""
        with self._lock:
            seconds = None
            if request not in self._models:
                while len(self._models) >= self._capacity:
                    self._models.popitem(last=False)
                started = time.perf_counter()
                self._models[request] = self._load(request)
                seconds = time.perf_counter() - started
            self._tell(seconds)
            self._models.move_to_end(request)
            return self._models[request]

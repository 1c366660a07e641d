"""The models that a process holds in memory. Knows neither what they are nor how to load one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Request = TypeVar("Request", bound=Hashable)
Model = TypeVar("Model")


class LoadedModels(Generic[Request, Model]):
    """Loads each model once, also when several threads ask at the same time."""

    def __init__(self, capacity: int, load: Callable[[Request], Model]) -> None:
        """At most `capacity` at once; the one used least recently goes first."""
        self._capacity = capacity
        self._load = load
        self._models: OrderedDict[Request, Model] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, request: Request) -> Model:
        """The model, loaded if need be. Raises what loading it raises."""
        with self._lock:
            if request not in self._models:
                while len(self._models) >= self._capacity:
                    self._models.popitem(last=False)
                self._models[request] = self._load(request)
            self._models.move_to_end(request)
            return self._models[request]

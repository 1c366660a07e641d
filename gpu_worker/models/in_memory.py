"""The models that a process holds in memory, each loaded once, for all its threads."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from typing import Generic, Protocol, TypeVar


class ModelRequest(Hashable, Protocol):
    """A request for a model: `model` is its name, and equal requests share one loaded model."""

    @property
    def model(self) -> str: ...


Request = TypeVar("Request", bound=ModelRequest)
Model = TypeVar("Model")
OnLoad = Callable[[float | None], None]


def ignore_load(_: float | None) -> None:
    """Do nothing: the default of `on_load`, for callers that count no loads."""


class LoadedModels(Generic[Request, Model]):
    """Loads each model once, also when several threads ask at the same time."""

    def __init__(
        self,
        capacity: int,
        load: Callable[[Request], Model],
        on_load: OnLoad = ignore_load,
    ) -> None:
        """Keep at most `capacity` models; drop the least recently used one first.

        `on_load` is called once for each `get`, with the seconds that loading took, or None if the
        model was in memory.
        """
        self._capacity = capacity
        self._load = load
        self._on_load = on_load
        self._models: OrderedDict[Request, Model] = OrderedDict()
        self._lock = threading.Lock()
        self._prefetched: dict[Request, Future[None]] = {}  # that are being loaded

    def get(self, request: Request) -> Model:
        """Return the model; load it first if it is not in memory. Raises what `load` raises."""
        while True:
            with self._lock:
                prefetched = self._prefetched.get(request)
                if prefetched is None:
                    return self._got(request)
            wait((prefetched,))

    def _got(self, request: Request) -> Model:
        """Return the model, as `get` does; the lock is held."""
        seconds = None
        if request not in self._models:
            while len(self._models) >= self._capacity:
                self._models.popitem(last=False)
            started = time.perf_counter()
            self._models[request] = self._load(request)
            seconds = time.perf_counter() - started
        self._on_load(seconds)
        self._models.move_to_end(request)
        return self._models[request]

    def prefetch(self, request: Request) -> bool:
        """Load a model before it is asked for, if there is room; return whether it is in memory.

        Meanwhile `get` of the same model waits for it, and `get` of others does not. They go first:
        a model that has no room any more once it is loaded is dropped. Raises what `load` raises.
        """
        with self._lock:
            if request in self._models:
                return True
            if len(self._models) + len(self._prefetched) >= self._capacity:
                return False
            loading = self._prefetched[request] = Future()
        try:
            model = self._load(request)
        except BaseException:
            with self._lock:
                del self._prefetched[request]
            raise
        else:
            with self._lock:
                del self._prefetched[request]
                if has_room := len(self._models) < self._capacity:
                    self._models[request] = model
            return has_room
        finally:
            loading.set_result(None)

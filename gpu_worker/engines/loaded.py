"""The engines a process holds in memory, the least recently used one let go first."""

from __future__ import annotations

import threading
from collections import OrderedDict

from gpu_worker.engines import Engine, EngineRequest, load_engine


class LoadedEngines:
    """Loads each engine once, also when several threads ask at the same time."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._engines: OrderedDict[EngineRequest, Engine] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, request: EngineRequest) -> Engine:
        """The engine, loaded if need be. Raises what `load_engine` raises."""
        with self._lock:
            if request not in self._engines:
                while len(self._engines) >= self._capacity:
                    self._engines.popitem(last=False)
                self._engines[request] = load_engine(request)
            self._engines.move_to_end(request)
            return self._engines[request]

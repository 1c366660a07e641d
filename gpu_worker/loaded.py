"""Which engines, aligners and diarizers there are, and those that a process holds in memory.

The module of a model is imported when the model is first asked for, so importing this loads no
model library.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar

from gpu_worker.alignment import Aligner, AlignerRequest
from gpu_worker.diarization import Diarizer, DiarizerRequest
from gpu_worker.errors import InvalidOption, LibraryMissing
from gpu_worker.transcription.engines import Engine, EngineRequest


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


def ignore_load(_: float | None) -> None:
    """For those who need not know."""


class LoadedModels(Generic[Request, Model]):
    """Loads each model once, also when several threads ask at the same time."""

    def __init__(
        self,
        capacity: int,
        load: Callable[[Request], Model],
        tell: Tell = ignore_load,
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


EngineFactory = Callable[[EngineRequest], Engine]
_engines = Factories[EngineRequest, Engine](
    lambda request: load_by("gpu_worker.transcription.engines.faster_whisper", request),
    fake="gpu_worker.transcription.engines.fake",
)


def register_engine(name: str, factory: EngineFactory) -> None:
    """Let the model names `name` and `name-…` be loaded by `factory`."""
    _engines[name] = factory


def load_engine(request: EngineRequest) -> Engine:
    """Load a model. Raises UnknownModel, ModelUnavailable or OutOfMemory."""
    return _engines.load(request)


class LoadedEngines(LoadedModels[EngineRequest, Engine]):
    """The engines used last, each loaded once."""

    def __init__(self, capacity: int, tell: Tell = ignore_load) -> None:
        super().__init__(capacity, load_engine, tell)


ALIGNERS = ("ctc", "whisperx")  # by name, each a module of `alignment/`
_WHISPERX_HINT = (
    "Install the whisperx extra: pip install 'scriptorium[worker,whisperx]'. The default, "
    "--aligner ctc, needs none and finds the same times within 20 ms."
)
AlignerFactory = Callable[[AlignerRequest], Aligner]


def register_aligner(name: str, factory: AlignerFactory) -> None:
    """Let `factory` load the align models `name` and `name-…`, whatever the aligner is."""
    _aligners[name] = factory


def load_aligner(request: AlignerRequest) -> Aligner:
    """Load an aligner and its model.

    Raises InvalidOption, LibraryMissing, UnknownModel, ModelUnavailable or MemoryError.
    """
    try:
        return _aligners.load(request)
    except ImportError as error:
        raise LibraryMissing(
            f"{error}, so words cannot be aligned.",
            hint=_WHISPERX_HINT if error.name == "whisperx" else None,
        ) from error


def _load_by_aligner(request: AlignerRequest) -> Aligner:
    if request.aligner not in ALIGNERS:
        known = ", ".join(ALIGNERS)
        raise InvalidOption(f"There is no aligner {request.aligner!r}, only {known}.")
    aligner: Aligner = load_by(f"gpu_worker.alignment.{request.aligner}", request)
    return aligner


_aligners = Factories[AlignerRequest, Aligner](_load_by_aligner, fake="gpu_worker.alignment.fake")


class LoadedAligners(LoadedModels[AlignerRequest, Aligner]):
    """The aligners used last, each loaded once."""

    def __init__(self, capacity: int, tell: Tell = ignore_load) -> None:
        super().__init__(capacity, load_aligner, tell)


DiarizerFactory = Callable[[DiarizerRequest], Diarizer]
_diarizers = Factories[DiarizerRequest, Diarizer](
    lambda request: load_by("gpu_worker.diarization.pretrained", request),
    fake="gpu_worker.diarization.fake",
)


def register_diarizer(name: str, factory: DiarizerFactory) -> None:
    """Let the model names `name` and `name-…` be loaded by `factory`."""
    _diarizers[name] = factory


def load_diarizer(request: DiarizerRequest) -> Diarizer:
    """Load a model.

    Raises LibraryMissing, UnknownModel, HubTokenMissing, ModelGated, ModelUnavailable or
    OutOfMemory.
    """
    try:
        return _diarizers.load(request)
    except ImportError as error:
        raise LibraryMissing(f"{error}, so speakers cannot be told apart.") from error


class LoadedDiarizers(LoadedModels[DiarizerRequest, Diarizer]):
    """The diarizers used last, each loaded once."""

    def __init__(self, capacity: int, tell: Tell = ignore_load) -> None:
        super().__init__(capacity, load_diarizer, tell)

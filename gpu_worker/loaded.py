"""The known engines, aligners and diarizers, and the ones that a process holds in memory.

The module of a model is imported when the model is first asked for, so importing this loads no
model library.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from gpu_worker.alignment import Aligner, AlignerRequest
from gpu_worker.alignment.chunk import AlignBatcher
from gpu_worker.devices.nvml import memory_ratio
from gpu_worker.devices.turns import device_of_batches
from gpu_worker.diarization import Diarizer, DiarizerRequest
from gpu_worker.errors import InvalidOption, LibraryMissing
from gpu_worker.models.in_memory import LoadedModels, Model, OnLoad, Request, ignore_load
from gpu_worker.transcription.chunk import WindowBatcher
from gpu_worker.transcription.engines import Engine, EngineRequest

OnBatch = Callable[[int, int], None]


class Factories(dict[str, Callable[[Request], Model]]):
    """Factories of models: that of `name` loads `name` and `name-…`, a default one the others."""

    def __init__(self, default: Callable[[Request], Model], fake: str) -> None:
        """Register the module `fake` for the models of that name."""
        super().__init__(fake=lambda request: load_by(fake, request))
        self._default = default

    def load(self, request: Request) -> Model:
        """Load the requested model with its factory. Raises what the factory raises."""
        name = "" if "/" in request.model else request.model.partition("-")[0]
        return self.get(name, self._default)(request)


def load_by(module: str, request: Any) -> Any:
    """Import a module and return what its `load` makes of the request.

    Raises ImportError if a library is missing, and what `load` raises.
    """
    return importlib.import_module(module).load(request)


def ignore_batch(items: int, size: int) -> None:
    """Do nothing: the default of `on_batch`."""


EngineFactory = Callable[[EngineRequest], Engine]
_ENGINES = {  # by the name in a request: the module that loads it
    "faster_whisper": "gpu_worker.transcription.engines.faster_whisper",
    "torch": "gpu_worker.transcription.engines.torch_whisper.loading",
    "parakeet": "gpu_worker.transcription.engines.parakeet.loading",
}
_engines = Factories[EngineRequest, Engine](
    lambda request: load_by(_ENGINES[request.engine], request),
    fake="gpu_worker.transcription.engines.fake",
)


def register_engine(name: str, factory: EngineFactory) -> None:
    """Register `factory` to load the models `name` and `name-…`."""
    _engines[name] = factory


def load_engine(request: EngineRequest) -> Engine:
    """Load a transcription model. Raises UnknownModel, ModelUnavailable or OutOfMemory."""
    return _engines.load(request)


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    """An engine in memory, and what makes its batches of the windows of all units."""

    engine: Engine
    batcher: WindowBatcher


class LoadedEngines(LoadedModels[EngineRequest, LoadedEngine]):
    """The engines used last, each loaded once."""

    def __init__(
        self,
        capacity: int,
        on_load: OnLoad = ignore_load,
        on_batch: OnBatch = ignore_batch,
    ) -> None:
        """`on_batch` hears of each batch how many windows it had, and could have had."""

        def load(request: EngineRequest) -> LoadedEngine:
            engine = load_engine(request)
            batcher = WindowBatcher(
                engine.decode,
                prepared_at_once=request.threads or os.cpu_count() or 1,
                shares_cores=engine.shares_cores,
                owners_apart=engine.device == "cpu",
                memory_ratio=partial(memory_ratio, engine.device),
                on_batch=on_batch,
            )
            return LoadedEngine(engine, batcher)

        super().__init__(capacity, load, on_load)


ALIGNERS = ("ctc", "whisperx")  # by name, each a module of `alignment/`
_WHISPERX_HINT = (
    "Install the whisperx extra: pip install 'scriptorium[worker,whisperx]'. The default, "
    "--aligner ctc, needs none and finds the same times within 20 ms."
)
AlignerFactory = Callable[[AlignerRequest], Aligner]


def register_aligner(name: str, factory: AlignerFactory) -> None:
    """Register `factory` to load the align models `name` and `name-…`, for every aligner."""
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


@dataclass(frozen=True, slots=True)
class LoadedAligner:
    """An aligner in memory, and what makes its batches of the windows of all units."""

    aligner: Aligner
    batcher: AlignBatcher


class LoadedAligners(LoadedModels[AlignerRequest, LoadedAligner]):
    """The aligners used last, each loaded once."""

    def __init__(self, capacity: int, on_load: OnLoad = ignore_load) -> None:
        def load(request: AlignerRequest) -> LoadedAligner:
            aligner = load_aligner(request)
            batcher = AlignBatcher(
                lambda windows, _: aligner.hear(windows),
                device=device_of_batches(aligner.device),
                memory_ratio=partial(memory_ratio, aligner.device),
            )
            return LoadedAligner(aligner, batcher)

        super().__init__(capacity, load, on_load)


DiarizerFactory = Callable[[DiarizerRequest], Diarizer]
_diarizers = Factories[DiarizerRequest, Diarizer](
    lambda request: load_by("gpu_worker.diarization.pretrained", request),
    fake="gpu_worker.diarization.fake",
)


def register_diarizer(name: str, factory: DiarizerFactory) -> None:
    """Register `factory` to load the models `name` and `name-…`."""
    _diarizers[name] = factory


def load_diarizer(request: DiarizerRequest) -> Diarizer:
    """Load a diarizer with its models.

    Raises LibraryMissing, UnknownModel, HubTokenMissing, ModelGated, ModelUnavailable or
    OutOfMemory.
    """
    try:
        return _diarizers.load(request)
    except ImportError as error:
        raise LibraryMissing(f"{error}, so speakers cannot be told apart.") from error


class LoadedDiarizers(LoadedModels[DiarizerRequest, Diarizer]):
    """The diarizers used last, each loaded once."""

    def __init__(self, capacity: int, on_load: OnLoad = ignore_load) -> None:
        super().__init__(capacity, load_diarizer, on_load)

"""What a worker tries on itself before it takes messages, and after a fault of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.settings import Settings
from gpu_worker.errors import OutOfMemory
from gpu_worker.loaded import load_engine
from gpu_worker.models.builtin import PICO_NAME
from gpu_worker.models.faults import as_worker_faults
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.choice import choose_engine
from tasks.execution.fitness import check_scratch


def check_worker(values: Settings, hardware: Mapping[str, Any], *, has_models: bool) -> None:
    """Use what every unit of this worker needs; `hardware` is that of a model's request.

    Raises WorkerFault, LibraryMissing or OutOfMemory.
    """
    check_scratch(values.work_dir)
    if not has_models:
        return
    engine = choose_engine(values.engine, PICO_NAME, "default", DecodeOptions()).engine
    request = EngineRequest(PICO_NAME, engine=engine, encoder=values.torch_encoder, **hardware)
    with as_worker_faults(PICO_NAME):
        try:
            load_engine(request)  # and let it hear
        except MemoryError as error:  # another program fills the device
            raise OutOfMemory(
                "The device has no memory for the smallest model.",
                hint="See with `nvidia-smi` which other program uses it.",
            ) from error

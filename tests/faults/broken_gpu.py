"""A GPU whose driver is broken: no model can be loaded, in the words of CTranslate2.

Takes the place of the fake engine, under its names.
"""

from __future__ import annotations

from gpu_worker.devices.faults import translating_device_errors
from gpu_worker.loaded import register_engine
from gpu_worker.transcription.engines import Engine, EngineRequest


def _load(request: EngineRequest) -> Engine:
    return translating_device_errors(_build)


def _build() -> Engine:
    raise RuntimeError("CUDA failed with error no CUDA-capable device is detected")


register_engine("fake", _load)

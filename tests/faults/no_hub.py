"""A worker that has not the model of the jobs, and no hub to fetch it from.

Takes the place of the fake engine, under its names.
"""

from __future__ import annotations

from typing import NoReturn

from gpu_worker.errors import ModelUnavailable
from gpu_worker.loaded import register_engine
from gpu_worker.transcription.engines import EngineRequest


def _load(request: EngineRequest) -> NoReturn:
    raise ModelUnavailable(f"{request.model} cannot be fetched: the hub gave no answer.")


register_engine("fake", _load)

"""A worker whose copy of one model is broken, in the words of CTranslate2; its device is well.

Takes the place of the fake engine, under its names.
"""

from __future__ import annotations

from typing import NoReturn

from gpu_worker.errors import UnknownModel
from gpu_worker.loaded import register_engine
from gpu_worker.transcription.engines import EngineRequest


def _load(request: EngineRequest) -> NoReturn:
    raise UnknownModel(f"{request.model!r} is not a Whisper model: File model.bin is incomplete.")


register_engine("fake", _load)

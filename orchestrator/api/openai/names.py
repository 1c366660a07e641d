"""OpenAI's names of models, and the names that a request may give."""

from __future__ import annotations

from collections.abc import Collection

from gpu_worker.errors import ModelNotTrusted, UnknownModel
from gpu_worker.models.allowed import check_allowed

OWN_MODEL = {  # OpenAI's names for the settings' model; True for the one with speakers
    "whisper-1": False,
    "gpt-transcribe": False,
    "gpt-4o-transcribe": False,
    "gpt-4o-mini-transcribe": False,
    "gpt-4o-mini-transcribe-2025-12-15": False,
    "gpt-4o-transcribe-diarize": True,
}
LONGEST_MODEL_NAME = 200  # characters


class NoSuchModel(UnknownModel):
    """There is no model of that name."""

    hint = "GET /v1/models lists the names."
    param = "model"


def check_model(name: str, allowed: Collection[str]) -> None:
    """Raise NoSuchModel unless jobs may name the model; paths of workers' files are refused too."""
    if len(name) > LONGEST_MODEL_NAME or name.startswith("/"):
        raise NoSuchModel()
    try:
        check_allowed(name, allowed)
    except (UnknownModel, ModelNotTrusted) as error:
        raise NoSuchModel(error.message) from error

